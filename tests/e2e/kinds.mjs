// The providers as the gateway calls them: for each kind of upstream its entry in the shipped catalogues, what
// a request to it must look like, and answers in its own manner.
import { message, messageEvents } from "../../dev/demo/wire-messages.mjs";
import { named } from "../agent/wire.mjs";

const INPUT = 120;
const CACHED = 20;
const OUTPUT = 30;

/** What every answer says, and what its provider counts. */
export const TEXT = "Hello there.";
export const COUNTED = { input_tokens: INPUT - CACHED, cache_read_tokens: CACHED, output_tokens: OUTPUT };
/** Stands in fields that no client may see. */
export const HIDDEN = "field-of-the-reseller";

const bearer = { authorization: "Bearer KEY" };
const asked = { stream_options: { include_usage: true } };

/**
 * `upstream` and `model` name the entries; `url` is where a request must arrive, `credentials` how the key
 * KEY comes with it, `limit` which field bounds the output where the model knows one alone, `streamed` what a
 * streamed request has beside. `chunks` and `whole` make the answers of one that speaks chat completions.
 */
export const KINDS = [
  {
    upstream: "openai",
    model: "gpt-6.1-sol",
    url: "https://api.openai.com/v1/chat/completions",
    limit: "max_completion_tokens",
  },
  {
    upstream: "anthropic",
    model: "claude-fable-5-2",
    url: "https://api.anthropic.com/v1/messages",
    credentials: { "x-api-key": "KEY" },
    limit: "max_tokens",
    streamed: {},
    stream: (model) => named(messageEvents(anthropic(model))),
    whole: (model) => message(anthropic(model)),
  },
  {
    // Each chunk tells the usage so far.
    upstream: "google",
    model: "gemini-3.6-flash",
    url: "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
    chunks: (model) => {
      const [first, rest, last] = plain(model);
      return [
        { ...first, usage: { ...USAGE, completion_tokens: 2 } },
        { ...rest, usage: { ...USAGE, completion_tokens: 12 } },
        { ...last, usage: USAGE },
      ];
    },
  },
  {
    // Comments, fields of its own, and the finish told again beside the usage.
    upstream: "openrouter",
    model: "grok-4.7",
    url: "https://openrouter.ai/api/v1/chat/completions",
    theirs: "x-ai/grok-4.7",
    before: ": OPENROUTER PROCESSING\n\n",
    chunks: (model) => {
      const chunks = plain(model).map((chunk) => ({ ...chunk, provider: HIDDEN }));
      return [...chunks, { ...chunks.at(-1), usage: resold }];
    },
    whole: (model) => ({ ...completion(model), provider: HIDDEN, usage: resold }),
  },
  {
    // The usage is told twice in one stream, at two places.
    upstream: "groq",
    model: "groq/openai/gpt-oss-120b",
    theirs: "openai/gpt-oss-120b",
    url: "https://api.groq.com/openai/v1/chat/completions",
    chunks: (model) => {
      const [first, rest, last] = plain(model);
      return [
        { ...first, x_groq: { id: "req_1" } },
        rest,
        { ...last, x_groq: { id: "req_1", usage: USAGE }, usage: USAGE },
        usageChunk(model),
      ];
    },
    whole: (model) => ({ ...completion(model), x_groq: { id: "req_1" }, usage_breakdown: null }),
  },
  {
    // Rejects `stream_options`, and reports unasked.
    upstream: "mistral",
    model: "mistral-large-4",
    url: "https://api.mistral.ai/v1/chat/completions",
    limit: "max_tokens",
    streamed: {},
    chunks: usageAtTheEnd,
  },
  {
    // Comments while it waits, and a name of its own for what was in the cache.
    upstream: "deepseek",
    model: "deepseek-chat",
    url: "https://api.deepseek.com/v1/chat/completions",
    limit: "max_tokens",
    before: ": keep-alive\n\n: keep-alive\n\n",
    chunks: (model) => usageAtTheEnd(model, deepseek),
    whole: (model) => ({ ...completion(model), usage: deepseek }),
  },
  {
    upstream: "xai",
    model: "grok-4.6",
    url: "https://api.x.ai/v1/chat/completions",
    chunks: (model) => [...plain(model).map((chunk) => ({ ...chunk, usage: USAGE })), usageChunk(model)],
  },
  {
    upstream: "together",
    model: "together/moonshotai/Kimi-K3.1-Pro",
    theirs: "moonshotai/Kimi-K3.1-Pro",
    url: "https://api.together.ai/v1/chat/completions",
    limit: "max_tokens",
    chunks: usageAtTheEnd,
  },
  {
    upstream: "fireworks",
    model: "fireworks/deepseek-v4p1-flash",
    theirs: "accounts/fireworks/models/deepseek-v4p1-flash",
    url: "https://api.fireworks.ai/inference/v1/chat/completions",
    chunks: usageAtTheEnd,
  },
  { ...azure("azure"), url: "https://RESOURCE.openai.azure.com/openai/v1/chat/completions" },
  {
    ...azure("azure-deployments"),
    url: "https://RESOURCE.openai.azure.com/openai/deployments/DEPLOYMENT/chat/completions?api-version=2024-10-21",
  },
  {
    upstream: "workers-ai",
    model: "workers-ai/llama-3.3-70b",
    theirs: "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    url: "https://api.cloudflare.com/client/v4/accounts/ACCOUNT_ID/ai/v1/chat/completions",
    limit: "max_tokens",
  },
  {
    upstream: "ollama",
    model: "ollama/llama3.2",
    theirs: "llama3.2",
    url: "http://127.0.0.1:11434/v1/chat/completions",
    credentials: {},
    limit: "max_tokens",
  },
  {
    upstream: "vllm",
    model: "vllm/qwen3-8b",
    theirs: "Qwen/Qwen3-8B",
    url: "http://127.0.0.1:8000/v1/chat/completions",
    whole: (model) => ({
      ...completion(model),
      prompt_logprobs: null,
      prompt_token_ids: null,
      kv_transfer_params: null,
    }),
  },
  {
    upstream: "llama-cpp",
    model: "llama-cpp/smollm2",
    theirs: "smollm2",
    url: "http://127.0.0.1:8080/v1/chat/completions",
    limit: "max_tokens",
    chunks: (model) => [...plain(model), { ...usageChunk(model), timings: { prompt_n: INPUT, predicted_n: OUTPUT } }],
  },
].map((kind) => ({
  theirs: kind.model,
  credentials: bearer,
  streamed: asked,
  whole: completion,
  stream: (model) => (kind.before ?? "") + events((kind.chunks ?? usual)(model)),
  ...kind,
}));

const USAGE = {
  prompt_tokens: INPUT,
  completion_tokens: OUTPUT,
  total_tokens: INPUT + OUTPUT,
  prompt_tokens_details: { cached_tokens: CACHED },
};
const resold = { ...USAGE, cost: HIDDEN, cost_details: { upstream: HIDDEN }, is_byok: HIDDEN };
const deepseek = {
  prompt_tokens: INPUT,
  completion_tokens: OUTPUT,
  total_tokens: INPUT + OUTPUT,
  prompt_cache_hit_tokens: CACHED,
  prompt_cache_miss_tokens: INPUT - CACHED,
};

/** Both of Azure's APIs: filters of its own around OpenAI's chunks, the first without a choice. */
function azure(upstream) {
  const filtered = { hate: { filtered: false, severity: "safe" } };
  const before = {
    id: "",
    object: "",
    created: 0,
    model: "",
    choices: [],
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: filtered }],
  };
  const passed = (chunk) => ({
    ...chunk,
    choices: chunk.choices.map((choice) => ({ ...choice, content_filter_results: filtered })),
  });
  return {
    upstream,
    model: "azure/gpt-4o",
    theirs: "DEPLOYMENT",
    credentials: { "api-key": "KEY" },
    chunks: (model) => [before, ...usual(model).map(passed)],
    whole: (model) => ({ ...passed(completion(model)), prompt_filter_results: before.prompt_filter_results }),
  };
}

function anthropic(model) {
  const blocks = [{ type: "text", pieces: ["Hello", " there."] }];
  return {
    id: "abc123",
    model,
    blocks,
    finish: "stop",
    usage: { input: INPUT, cached: CACHED, output: OUTPUT, reasoning: 0 },
  };
}

function completion(model) {
  const choices = [{ index: 0, message: { role: "assistant", content: TEXT }, finish_reason: "stop" }];
  return { id: "chatcmpl-1", object: "chat.completion", created: 1_700_000_000, model, choices, usage: USAGE };
}

function chunk(model, choices) {
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_700_000_000, model, choices };
}

/** The chunks without usage: words, words, the finish. */
function plain(model) {
  const delta = (delta, finish_reason = null) => chunk(model, [{ index: 0, delta, finish_reason }]);
  return [delta({ role: "assistant", content: "Hello" }), delta({ content: " there." }), delta({}, "stop")];
}

function usageChunk(model) {
  return { ...chunk(model, []), usage: USAGE };
}

function usual(model) {
  return [...plain(model), usageChunk(model)];
}

/** The usage stands beside the finish, and in no chunk of its own. */
function usageAtTheEnd(model, usage = USAGE) {
  const chunks = plain(model);
  return [...chunks.slice(0, -1), { ...chunks.at(-1), usage }];
}

function events(chunks) {
  return `${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")}data: [DONE]\n\n`;
}
