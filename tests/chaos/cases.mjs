// Every case, as the product of what can be combined, and the catalogue that they need: each case has a model
// of its own, so that no case is another one's recent failure.
import { FAILURES } from "./failures.mjs";

export const DIALECTS = ["chat", "messages", "responses"];
const NAMES = { chat: "openai_chat", messages: "anthropic_messages", responses: "openai_responses" };
const MODES = ["whole", "stream"];

/** When a client leaves. */
export const LEAVING = ["before the headers", "after the first byte", "in the middle", "does not read"];

/** The price of every model, in pico-USD a token. */
export const PRICE = { input: 2_000_000n, cached: 500_000n, output: 10_000_000n };

// What is slow on purpose has deadlines that a test can wait for, and that an answer which is not slow still keeps.
const DEADLINES = { first: "", hasty: "timeouts_ms = { headers = 700, idle = 700, total = 1200 }\n", second: "" };

/**
 * `{ name, model, client, upstream, mode }` each; of an upstream that fails also `failure` (of FAILURES) and
 * `second` (whether there is another upstream, which works); of a client that leaves `leaves`.
 */
export function cases() {
  const all = [];
  for (const client of DIALECTS) {
    for (const upstream of DIALECTS) {
      for (const mode of MODES) {
        const add = (what, more) => all.push({ name: `${what}, ${mode}, ${client} from ${upstream}`, model: `case-${all.length}`, client, upstream, mode, ...more });
        for (const [what, failure] of Object.entries(FAILURES)) {
          if (failure.only && failure.only !== mode) continue;
          for (const second of [false, true]) add(`${what}, ${second ? "then another" : "alone"}`, { failure, second });
        }
        for (const leaves of LEAVING) if (mode === "stream" || leaves !== "after the first byte") add(`client: ${leaves}`, { leaves });
      }
    }
  }
  return all;
}

/** Whether a case is about deadlines, so that a machine that is too busy would change how it ends. */
export function isTimed({ failure }) {
  return failure?.at === "hasty";
}

/** The id of the upstream to which a case goes first. */
export function firstOf({ failure, upstream }) {
  return `${failure?.at ?? "first"}-${upstream}`;
}

/** The catalogue of `list`, in which UPSTREAM stands for the scripted upstream's origin. */
export function catalogue(list) {
  const upstreams = DIALECTS.flatMap((dialect) => [
    ...Object.entries(DEADLINES).map(([kind, deadlines]) => upstreamEntry(`${kind}-${dialect}`, dialect, `UPSTREAM/${kind}-${dialect}/v1`, deadlines)),
    // Nothing listens there.
    upstreamEntry(`dead-${dialect}`, dialect, "http://127.0.0.1:1/v1", ""),
  ]);
  const models = list.map((one) => modelEntry(one.model, [firstOf(one), ...(one.second ? [`second-${one.upstream}`] : [])]));
  return [...upstreams, ...models].join("\n");
}

function upstreamEntry(id, dialect, url, more) {
  const complete = dialect === "responses" ? "responses_complete = true\n" : "";
  return `[[upstream]]\nid = "${id}"\ndialects = ["${NAMES[dialect]}"]\nbase_url = "${url}"\n${complete}${more}`;
}

function modelEntry(id, upstreams) {
  const routes = upstreams.map((upstream, at) => `[[model.route]]\nupstream = "${upstream}"\npriority = ${at + 1}\n`);
  return `[[model]]
id = "${id}"
context_window = 200000
max_output_tokens = 32000
[[model.price]]
effective_at = 2024-01-01T00:00:00Z
input = "2"
cache_read = "0.5"
output = "10"
${routes.join("")}`;
}
