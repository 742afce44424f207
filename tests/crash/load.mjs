// The load of the crash run: clients that request streams and whole answers, one after the other, at the current
// address of the gateway.
import { chatBody, completion, completionChunks } from "../e2e/chat.mjs";
import { events, eventStream, hangUp, json } from "../e2e/upstream.mjs";

// The prices of "chat" in the test catalogue, in nano-USD per token.
const PRICE = { input: 2_000n, output: 10_000n };

// After this time, a request that hangs because of a kill is given up.
const CLIENT_LIMIT_MS = 30_000;

const words = (count) => "word ".repeat(count);

// How often each kind comes, what it asks for and what the upstream does. A fast stream of many words
// outgrows its first hold, so that its account hears of it by checkpoints.
const KINDS = {
  whole: { weight: 5, answer: (usage) => json(completionOf(usage)) },
  slow: { weight: 2, answer: (usage) => later(1_000, json(completionOf(usage))) },
  stream: { weight: 8, stream: true, answer: (usage) => streamOf(usage, { chunks: 20, each: 3, delayMs: 40 }) },
  long: { weight: 3, stream: true, answer: (usage) => streamOf(usage, { chunks: 60, each: 120, delayMs: 30 }) },
  "no answer": { weight: 1, answer: () => hangUp() },
  "cut stream": {
    weight: 1,
    stream: true,
    answer: (usage) => eventStream(events(chunksOf(usage, { chunks: 5, each: 3 })).slice(0, 900), { end: "cut" }),
  },
};
const URN = Object.entries(KINDS).flatMap(([kind, { weight }]) => Array(weight).fill(kind));

/** Whole numbers from 0 to below `n`, the same for a seed in every run: a linear congruential generator. */
export function randomNumbers(seed) {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** Returns the cost of a usage row with this many tokens, in nano-USD. */
export const cost = (input, output) => BigInt(input) * PRICE.input + BigInt(output) * PRICE.output;

/**
 * The load of `clients` clients on `accounts`; `origin()` resolves to the gateway's address once there
 * is one. Its usage tells each request from all others: no two have the same number of input tokens.
 */
export class Load {
  constructor({ accounts, clients, origin, random, upstream }) {
    Object.assign(this, { accounts, clients, origin, random, upstream });
    /** What each client saw: `{ n, kind, account, id, saw }`; `saw` is "answer", "refusal", "error" or "cut". */
    this.sent = [];
    /** The requests that reached the upstream, by their number. */
    this.dispatched = new Set();
    this.twice = [];
    upstream.answer("chat", (response, { json: { user } }) => {
      const [n, kind] = user.split(" ", 1).concat(user.slice(user.indexOf(" ") + 1));
      if (this.dispatched.has(n)) this.twice.push(user);
      this.dispatched.add(n);
      return KINDS[kind].answer(usageOf(Number(n)))(response);
    });
  }

  /** Starts the clients. `stop` ends them and resolves when the last client has its answer. */
  start() {
    this.stopping = false;
    this.running = Promise.all(Array.from({ length: this.clients }, () => this.#client()));
  }

  async stop() {
    this.stopping = true;
    await this.running;
  }

  async #client() {
    while (!this.stopping) {
      const account = this.accounts[this.random(this.accounts.length)];
      const kind = URN[this.random(URN.length)];
      const request = { n: this.sent.length + 1, kind, account, id: null, saw: "cut" };
      this.sent.push(request);
      const origin = await this.origin();
      await send(origin, request).catch(() => {}); // the gateway was killed or has not started yet
    }
  }
}

async function send(origin, request) {
  const { n, kind, account } = request;
  const { stream = false } = KINDS[kind];
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${account.key}` },
    body: chatBody("chat", { user: `${n} ${kind}`, max_tokens: 12_000, ...(stream && { stream }) }),
    signal: AbortSignal.timeout(CLIENT_LIMIT_MS),
  });
  request.id = response.headers.get("x-request-id");
  request.status = response.status;
  const text = await response.text();
  const whole = stream ? text.endsWith("data: [DONE]\n\n") : text !== "";
  if (response.status !== 200) request.saw = "refusal";
  else request.saw = whole ? "answer" : "error";
}

/** Returns the usage of request `n`. No two requests have the same usage. */
export function usageOf(n) {
  const usage = { prompt_tokens: 1_000 + n, completion_tokens: 10 + (n % 90) };
  return { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens };
}

const completionOf = (usage) => ({ ...completion("chat"), usage });

function chunksOf(usage, { chunks, each }) {
  const [text, finish, last] = completionChunks("chat");
  const choices = [{ ...text.choices[0], delta: { content: words(each) } }];
  return [...Array.from({ length: chunks }, () => ({ ...text, choices })), finish, { ...last, usage }];
}

function streamOf(usage, { chunks, each, delayMs }) {
  const all = chunksOf(usage, { chunks, each });
  const sizes = all.map((chunk) => Buffer.byteLength(events([chunk])) - Buffer.byteLength(events([])));
  return eventStream(events(all), { sizes, delayMs });
}

const later = (ms, answer) => async (response) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  await answer(response);
};
