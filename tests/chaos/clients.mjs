// Clients of each dialect, without an SDK: they send requests and read answers and streams.
import assert from "node:assert/strict";
import http from "node:http";

const PATHS = { chat: "/v1/chat/completions", messages: "/v1/messages", responses: "/v1/responses" };

function bodyOf(client, model, stream, words) {
  const said = { model, ...(stream && { stream }) };
  if (client === "responses") return { ...said, input: words };
  const messages = [{ role: "user", content: words }];
  return { ...said, messages, ...(client === "messages" && { max_tokens: 1_000 }) };
}

/**
 * Sends a request over a connection of its own. Resolves to node's request, whose "response" is the caller's.
 */
export function send(origin, key, { client, model, mode, words = "Say the letters." }) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const sent = http.request(`${origin}${PATHS[client]}`, { method: "POST", headers, agent: false });
  sent.on("error", () => {}); // of a client that leaves: its own
  sent.end(JSON.stringify(bodyOf(client, model, mode === "stream", words)));
  return sent;
}

/** `{ status, headers, text }` of a request that is read to its end. */
export function readWhole(sent) {
  return new Promise((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", async (response) => {
      try {
        let text = "";
        for await (const part of response.setEncoding("utf8")) text += part;
        resolve({ status: response.statusCode, headers: response.headers, text });
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Returns the text of a whole answer. */
export function wordsOf(client, text) {
  const answer = JSON.parse(text);
  if (client === "chat") return answer.choices[0].message.content;
  if (client === "messages") return answer.content.map((block) => block.text).join("");
  return answer.output
    .flatMap(({ content }) => content)
    .map((part) => part.text)
    .join("");
}

/** Returns `{ words, ends, error }` of a stream. `ends` is "complete", "error", or a description of another end. */
export function readStream(client, wire) {
  const events = wire
    .split("\n\n")
    .filter((event) => /^data: /m.test(event))
    .map((event) => event.match(/^data: (.*)$/m)[1]);
  const done = events.at(-1) === "[DONE]";
  return READERS[client](
    events.filter((data) => data !== "[DONE]").map((data) => JSON.parse(data)),
    done,
  );
}

const READERS = {
  chat(chunks, done) {
    const error = chunks.at(-1)?.error;
    const choices = chunks.flatMap(({ choices = [] }) => choices);
    const finished = choices.some(({ finish_reason: finish }) => finish === "stop");
    const words = choices.map(({ delta }) => delta.content ?? "").join("");
    return { words, error, ends: error ? "error" : done && finished ? "complete" : "without an end" };
  },

  messages(events, done) {
    const last = events.at(-1);
    const error = last?.type === "error" ? last.error : undefined;
    const words = events.map(({ delta }) => delta?.text ?? "").join("");
    return {
      words,
      error,
      ends: done ? "[DONE]" : error ? "error" : last?.type === "message_stop" ? "complete" : "without an end",
    };
  },

  responses(events, done) {
    const [before, last] = events.slice(-2);
    const error = last?.type === "response.failed" && before?.type === "error" ? last.response.error : undefined;
    const words = events
      .filter(({ type }) => type === "response.output_text.delta")
      .map(({ delta }) => delta)
      .join("");
    return {
      words,
      error,
      ends: done ? "[DONE]" : error ? "error" : last?.type === "response.completed" ? "complete" : "without an end",
    };
  },
};

/** Asserts that a body is the error of a client's dialect with these words of ours; resolves to its sentence. */
export function readError(client, { text, headers, status }, { code, type }) {
  const { error, ...rest } = JSON.parse(text);
  const { message, ...fields } = error;
  if (client === "messages") {
    assert.deepEqual(rest, { type: "error", request_id: headers["x-request-id"] });
    assert.deepEqual(fields, { type, code }, `status ${status}`);
  } else {
    assert.deepEqual(rest, {});
    assert.deepEqual(fields, { type: "oneinterface_error", code });
  }
  return message;
}
