// All cases, as all combinations of failures, clients and upstreams, and the catalogue for them. Each case has its own
// model, so that a failure in one case does not open the circuit breaker for another.
import { FAILURES } from "./failures.mjs";

export const DIALECTS = ["chat", "messages", "responses"];
const NAMES = { chat: "openai_chat", messages: "anthropic_messages", responses: "openai_responses" };
const MODES = ["whole", "stream"];

/** The moments at which a client disconnects. */
export const LEAVING = ["before the headers", "after the first byte", "in the middle", "does not read"];

/** The prices of every model, in pico-USD per token. */
export const PRICE = { input: 2_000_000n, cached: 500_000n, output: 10_000_000n };

// Upstreams that are slow on purpose have short deadlines: a test can wait for them, and a normal answer meets them.
const DEADLINES = { first: "", hasty: "timeouts_ms = { headers = 700, idle = 700, total = 1200 }\n", second: "" };

/**
 * A case is `{ name, model, client, upstream, mode }`. If the upstream fails, also `failure` (of FAILURES) and `second`
 * (whether there is a second upstream, which works). If the client disconnects, also `leaves`.
 */
export function cases() {
  const all = [];
  for (const client of DIALECTS) {
    for (const upstream of DIALECTS) {
      for (const mode of MODES) {
        const add = (what, more) =>
          all.push({
            name: `${what}, ${mode}, ${client} from ${upstream}`,
            model: `case-${all.length}`,
            client,
            upstream,
            mode,
            ...more,
          });
        for (const [what, failure] of Object.entries(FAILURES)) {
          if (failure.only && failure.only !== mode) continue;
          for (const second of [false, true]) add(`${what}, ${second ? "then another" : "alone"}`, { failure, second });
        }
        for (const leaves of LEAVING)
          if (mode === "stream" || leaves !== "after the first byte") add(`client: ${leaves}`, { leaves });
      }
    }
  }
  return all;
}

/** Returns whether a case tests deadlines. A busy machine could change the result of such a case. */
export function isTimed({ failure }) {
  return failure?.at === "hasty";
}

/** Returns the id of the upstream that a case tries first. */
export function firstOf({ failure, upstream }) {
  return `${failure?.at ?? "first"}-${upstream}`;
}

/** Returns the catalogue for `list`. In it, UPSTREAM stands for the scripted upstream's origin. */
export function catalogue(list) {
  const upstreams = DIALECTS.flatMap((dialect) => [
    ...Object.entries(DEADLINES).map(([kind, deadlines]) =>
      upstreamEntry(`${kind}-${dialect}`, dialect, `UPSTREAM/${kind}-${dialect}/v1`, deadlines),
    ),
    // No server listens on this port.
    upstreamEntry(`dead-${dialect}`, dialect, "http://127.0.0.1:1/v1", ""),
  ]);
  const models = list.map((one) =>
    modelEntry(one.model, [firstOf(one), ...(one.second ? [`second-${one.upstream}`] : [])]),
  );
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
