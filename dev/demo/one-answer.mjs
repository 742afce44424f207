// The demo's answer to a chat request, in the form that wire-messages.mjs and wire-responses.mjs read.
import { randomUUID } from "node:crypto";
import { answersTo, tokensOf } from "./chat.mjs";
import { promptTokens } from "./tokens.mjs";

/** Returns the answer to `chat`. The ids of its calls begin with the dialect's prefix. */
export function oneAnswer(chat, callPrefix) {
  const [answer] = answersTo(chat);
  const said = answer.text === null ? [] : [{ type: "text", pieces: answer.text }];
  const calls = answer.calls.map(({ id, name, args }) => ({
    type: "tool",
    id: id.replace(/^call/, callPrefix),
    name,
    pieces: args,
  }));
  return {
    id: `demo${randomUUID().replaceAll("-", "")}`,
    model: chat.model,
    blocks: [...said, ...calls],
    finish: answer.finish,
    usage: { input: promptTokens(chat), cached: 0, output: tokensOf(answer), reasoning: 0 },
  };
}
