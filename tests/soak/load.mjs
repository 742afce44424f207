// The load of a soak: requests of every dialect to every dialect at a given rate, of which four kinds of
// fault take 5 % each. A request names its fault in its own words, so that the upstream knows it.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { DIALECTS, firstOf } from "../chaos/cases.mjs";
import { readStream, readWhole, send, wordsOf } from "../chaos/clients.mjs";
import { FAILURES, frames, good, PIECES } from "../chaos/failures.mjs";
import { eventStream } from "../e2e/upstream.mjs";

// Each kind of fault takes so much of all requests, in hundredths.
const FAULT_PERCENT = 5;
// Good streams and those that a client leaves come in pieces, as a model's do.
const PIECE_BYTES = 300;
const PACE_MS = 10;

const is = (...kinds) =>
  Object.keys(FAILURES).filter(
    (name) => kinds.includes(FAILURES[name].as) || (kinds.includes("status") && FAILURES[name].as.status),
  );
const FAULTS = {
  "an upstream refuses": is("status", "too long", "unreachable", "no answer"),
  "an upstream is silent": is("late"),
  "a stream breaks": is("broken"),
  "a client leaves": ["client"],
};

const NAMES = Object.keys(FAILURES);
const FINE = "fine";

/** The models that the load goes to: for each dialect of an upstream one that answers, one that is slow, one that is dead; another upstream stands behind each. */
export function soakModels() {
  return DIALECTS.flatMap((upstream) =>
    [undefined, "hasty", "dead"].map((at) => modelOf({ upstream, failure: { at } })),
  );
}

function modelOf({ upstream, failure }) {
  const first = firstOf({ upstream, failure });
  return { model: `soak-${first}`, upstream, failure, second: true };
}

/** Sends until `stop` resolves. `seen` counts what became of the requests by name; `problems` are in words. */
export class SoakLoad {
  constructor(gateway, accounts, { random, rate, most }) {
    Object.assign(this, { gateway, accounts, random, rate, most });
    /** How many requests each account sent that the gateway has answered or could have. */
    this.sent = new Map(accounts.map((account) => [account, 0]));
    this.seen = {};
    this.problems = [];
    this.running = new Set();
    for (const { model, upstream } of soakModels())
      gateway.upstream.answer(model, (http, seen) => answer(http, seen, upstream));
  }

  /** Sends `rate` requests a second for `ms`, then waits for those that run. */
  async run(ms) {
    const started = performance.now();
    for (let n = 0; ; n += 1) {
      const due = started + (n * 1_000) / this.rate;
      if (due - started >= ms) break;
      const early = due - performance.now();
      if (early > 0) await sleep(early);
      // Beyond the bound a request is not sent, and counted: the machine is slower than the rate.
      if (this.running.size >= this.most) this.#count("not sent, too many run");
      else this.#start(this.#plan());
    }
    await Promise.all(this.running);
  }

  #plan() {
    const [client, upstream] = [DIALECTS[this.random(3)], DIALECTS[this.random(3)]];
    const kind = Object.keys(FAULTS)[Math.floor(this.random(100) / FAULT_PERCENT)];
    const names = FAULTS[kind] ?? [FINE];
    const name = names[this.random(names.length)];
    const { only, at } = FAILURES[name] ?? {};
    const mode = only ?? (name === "client" ? "stream" : ["whole", "stream"][this.random(2)]);
    const { model } = modelOf({ upstream, failure: { at } });
    return {
      kind: kind ?? FINE,
      name,
      client,
      mode,
      model,
      words: `soak ${NAMES.indexOf(name)}`,
      account: this.accounts[this.random(this.accounts.length)],
    };
  }

  #start(plan) {
    this.sent.set(plan.account, this.sent.get(plan.account) + 1);
    const playing = this.#play(plan)
      .catch(
        (error) =>
          void this.problems.push(`${plan.name}, ${plan.mode}, ${plan.client} to ${plan.model}: ${error.message}`),
      )
      .finally(() => this.running.delete(playing));
    this.running.add(playing);
  }

  async #play(plan) {
    const { kind, client, mode, account } = plan;
    const sent = send(this.gateway.url, account.key, plan);
    if (kind === "a client leaves") {
      const [response] = await once(sent, "response");
      await once(response, "data");
      sent.destroy();
      return this.#count(kind);
    }
    const { status, headers, text } = await readWhole(sent);
    this.#count(`${kind}: ${status}`);
    const internal = status === 500 || text.includes("internal_error");
    const words = status !== 200 ? null : mode === "whole" ? wordsOf(client, text) : readStream(client, text).words;
    if (internal || (kind === FINE && words !== PIECES.join("")))
      throw new Error([status, text, ...this.#logOf(headers["x-request-id"])].join(" "));
  }

  #logOf(id) {
    return this.gateway.logs().filter((line) => line.includes(id));
  }

  #count(name) {
    this.seen[name] = (this.seen[name] ?? 0) + 1;
  }
}

function answer(http, seen, upstream) {
  const [, at] = JSON.stringify(seen.json).match(/soak (-?\d+)/);
  const failure = FAILURES[NAMES[Number(at)]];
  if (failure && !seen.upstream.startsWith("second")) return failure.answer(upstream)(http, seen);
  if (seen.json.stream !== true) return good(upstream)(http, seen);
  return eventStream(frames(upstream, seen).join(""), { sizes: [PIECE_BYTES], delayMs: PACE_MS })(http);
}
