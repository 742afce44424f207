// The rules, each said once: what the gateway must make of a failure, whoever asks and in whichever dialect.
import { PIECES, PRODUCED, USAGE } from "./failures.mjs";

// Our count of all that an upstream could say in the 2 s in which it must be left, at 2 tokens a word.
const MOST_ABANDONED = 400;

/** Whether the next upstream is asked. Only a stream that did not begin in time is tried again: a whole answer was perhaps made. */
function failsOver(as, mode) {
  if (as === "late") return mode === "stream";
  // 401 to 404 speak of the operator's own key, account and route.
  if (as.status) return [401, 402, 403, 404, 408, 425, 429].includes(as.status) || as.status >= 500;
  return as === "unreachable" || as === "no answer";
}

/** Whether the request itself is to blame. */
function isRejected(as) {
  return as === "too long" || [400, 413, 422].includes(as.status);
}

/** What a client is told when the last upstream failed in this way and nothing was forwarded. */
function refusal(as) {
  if (as === "too long")
    return { status: 400, code: "invalid_request", retry: "false", says: /capability_rejected: prompt_too_long/ };
  if (as.status === 413) return { status: 413, code: "invalid_request", retry: "false" };
  if (isRejected(as)) return { status: 400, code: "invalid_request", retry: "false" };
  if (as.status === 429)
    return { status: 429, code: "rate_limit_exceeded", retry: null, retryAfter: String(as.retryAfter ?? 1) };
  return { status: 503, code: "upstream_unavailable", retry: null, retryAfter: as.retryAfter && String(as.retryAfter) };
}

/** Anthropic's type of a status. */
export const ANTHROPIC_TYPES = {
  400: "invalid_request_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

/** A stream or answer that came to its end, as its provider counted. */
const COMPLETE = {
  status: 200,
  ends: "complete",
  words: PIECES.length,
  bill: {
    outcome: "completed",
    billing: "settled",
    by: "upstream",
    input: USAGE.input - USAGE.cached,
    cached: USAGE.cached,
    output: [USAGE.output, USAGE.output],
  },
};

/** A stream that broke off behind so many pieces: paid by our own count of them. */
function broken(words, attempts) {
  const longest = PIECES.slice(0, words).join("").length;
  return {
    status: 200,
    ends: "error",
    words,
    attempts,
    bill: { outcome: "truncated", billing: "settled", by: "estimate", output: [words, longest] },
  };
}

/**
 * What a case must come to: `status`; with a refusal `code`, `retry`, `retryAfter` and `says`; with a stream or
 * an answer `ends` and how many `words` were said; `attempts` of each upstream; the `bill`.
 */
export function expected({ failure, mode, upstream, second }) {
  const as = typeof failure.as === "function" ? failure.as(upstream) : failure.as;
  const first = failure.at === "dead" ? 0 : 1;
  if (as === "complete") return { ...COMPLETE, attempts: [first, 0] };
  if (as === "broken") return broken(PRODUCED, [first, 0]);
  if (as === "broken at the end") return broken(PIECES.length, [first, 0]);
  if (second && failsOver(as, mode)) return { ...COMPLETE, attempts: [first, 1] };
  const outcome = isRejected(as) ? "rejected" : "upstream_failed";
  return { ...refusal(as), attempts: [first, 0], bill: { outcome, billing: "released", by: null, output: [0, 0] } };
}

/** The same of a client that leaves, or does not read, an upstream that works. */
export function expectedOfClient({ mode, upstream, leaves }) {
  // A whole answer came whole, and short streams fit between us and one who does not read.
  if (mode === "whole" || leaves === "does not read") return { ...COMPLETE.bill };
  // It is given up at once, and paid by what was seen; the input as the upstream told it, where it tells it first.
  const told =
    upstream === "messages"
      ? { input: USAGE.input - USAGE.cached, cached: USAGE.cached }
      : { by: "estimate", cached: 0 };
  return { outcome: "client_gone", billing: "settled", output: [0, MOST_ABANDONED], ...told };
}
