// The demo's answer to a chat request as wire-messages.mjs and wire-responses.mjs want it.
import { randomUUID } from "node:crypto";
import { answersTo, tokensOf } from "./chat.mjs";
import { promptTokens } from "./tokens.mjs";

/** The answer to `chat`, with the dialect's own prefix before the ids of its calls. */
export function oneAnswer(chat, callPrefix) {
  const [answer] = answersTo(chat);
  const said = answer.text === null ? [] : [{ type: "text", pieces: answer.text }];
  const calls = answer.calls.map(({ id, name, args }) => ({ type: "tool", id: id.replace(/^call/, callPrefix), name, pieces: args }));
  return {
    id: `demo${randomUUID().replaceAll("-", "")}`,
    model: chat.model,
    blocks: [...said, ...calls],
    finish: answer.finish,
    usage: { input: promptTokens(chat), cached: 0, output: tokensOf(answer), reasoning: 0 },
  };
}
