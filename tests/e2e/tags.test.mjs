// The state behind reasoning, of an upstream that speaks two dialects: what it signed in one of them goes back to
// it in that one, and not in the other.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startDialects } from "../agent/gateway.mjs";
import { json } from "./upstream.mjs";

const MODEL = "agent-both";
const SIGNED = { chat: "signed-in-chat", messages: "signed-in-messages" };
const THOUGHT = "I think.";
const detail = (signature) => ({
  type: "reasoning.text",
  text: THOUGHT,
  signature,
  format: "anthropic-claude-v1",
  index: 0,
});
const ANSWERS = {
  chat: {
    id: "c",
    object: "chat.completion",
    created: 1,
    model: MODEL,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "hello", reasoning_details: [detail(SIGNED.chat)] },
        finish_reason: "stop",
      },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
  },
  messages: {
    id: "m",
    type: "message",
    role: "assistant",
    model: MODEL,
    content: [
      { type: "thinking", thinking: THOUGHT, signature: SIGNED.messages },
      { type: "text", text: "hello" },
    ],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 5, output_tokens: 5 },
  },
};
const ASK = { role: "user", content: "Say hello." };
const CLIENTS = {
  chat: {
    path: "/v1/chat/completions",
    signature: (answer) => answer.choices[0].message.reasoning_details[0].signature,
    turn: (signature) => ({ role: "assistant", content: "hello", reasoning_details: [detail(signature)] }),
  },
  messages: {
    path: "/v1/messages",
    signature: (answer) => answer.content[0].signature,
    turn: (signature) => ({
      role: "assistant",
      content: [
        { type: "thinking", thinking: THOUGHT, signature },
        { type: "text", text: "hello" },
      ],
    }),
  },
};

let gateway;
let account;
before(async () => {
  gateway = await startDialects();
  account = await gateway.account();
});
after(() => gateway.close());
beforeEach(() => {
  gateway.upstream.forget();
  gateway.upstream.answer(MODEL, (http, seen) =>
    json(ANSWERS[seen.path.endsWith("/messages") ? "messages" : "chat"])(http),
  );
});

async function ask(client, messages) {
  const body = JSON.stringify({ model: MODEL, max_tokens: 100, messages });
  const response = await gateway.fetch(CLIENTS[client].path, { method: "POST", key: account.key, body });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

for (const made of ["chat", "messages"]) {
  test(`what was signed in ${made} goes back in ${made} alone`, async () => {
    const signature = CLIENTS[made].signature(await ask(made, [ASK]));
    assert.match(signature, new RegExp(`^oi-.+${SIGNED[made]}$`));
    for (const sent of ["chat", "messages"]) {
      await ask(sent, [ASK, CLIENTS[sent].turn(signature), ASK]);
      const { body } = gateway.upstream.requests.at(-1);
      assert.equal(body.includes(`"${SIGNED[made]}"`), sent === made, `${sent}: ${body}`);
      assert.ok(!body.includes("oi-"), `${sent}: ${body}`);
    }
  });
}
