// What a scripted account has, for tests of the console's pages: the shapes of the account API, the same at each run.

/** The moment at which the pages are looked at. */
export const NOW = Date.parse("2026-11-24T14:30:00.000Z");
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Requests in all, newest first. */
const REQUESTS = 10_000;
const PAGE_ROWS = 200;

// The models that they ask for.
export const MODELS = [
  ["gpt-4o", "GPT-4o", "openai", 128_000, 16_384, "2.50", "1.25", "10.00", ["tools", "vision", "json_schema", "cache"]],
  [
    "gpt-4o-mini",
    "GPT-4o mini",
    "openai",
    128_000,
    16_384,
    "0.15",
    "0.075",
    "0.60",
    ["tools", "vision", "json_schema", "cache"],
  ],
  [
    "claude-sonnet-4-6",
    "Claude Sonnet 4.6",
    "anthropic",
    200_000,
    64_000,
    "3.00",
    "0.30",
    "15.00",
    ["tools", "vision", "reasoning", "cache"],
  ],
  [
    "claude-opus-5-5",
    "Claude Opus 5.5",
    "anthropic",
    1_000_000,
    128_000,
    "5.00",
    "0.50",
    "25.00",
    ["tools", "vision", "reasoning", "cache", "adaptive_thinking"],
  ],
  [
    "gemini-3-flash",
    "Gemini 3 Flash",
    "google",
    1_048_576,
    65_536,
    "0.30",
    "0.03",
    "2.50",
    ["tools", "vision", "reasoning", "json_schema"],
  ],
  ["mistral-large", "Mistral Large", "mistral", 262_144, null, "0.50", null, "1.50", ["tools", "json_schema"]],
  ["groq/llama-3.3-70b", "Llama 3.3 70B", "meta", 131_072, 32_768, "0.59", null, "0.79", ["tools"]],
  ["text-embedding-3-small", "Embedding 3 small", "openai", 8_191, null, "0.02", null, null, ["embeddings"]],
].map(([id, name, owned_by, context_window, max_output_tokens, input, cache_read, output, capabilities]) => ({
  id,
  name,
  owned_by,
  context_window,
  max_output_tokens,
  capabilities,
  created: "2026-01-15T00:00:00.000Z",
  pricing: {
    input,
    ...(output && { output }),
    ...(cache_read && { cache_read }),
    ...(id === "claude-sonnet-4-6" && { long_input: { above_input: 200_000, input: "6.00", output: "22.50" } }),
  },
}));

const key = (id, name, rest) => ({
  id,
  name,
  start: `oi_1${id.slice(-3)}`,
  permissions: ["inference"],
  limits: {},
  parent_id: null,
  created_at: "2026-10-02T09:12:00.000Z",
  revoked_at: null,
  last_used_at: at(3),
  spent_usd: "0",
  running: 0,
  ...rest,
});

export const KEYS = [
  key("key_prod", "Production backend", {
    permissions: ["inference", "account:read"],
    limits: {
      requests_per_minute: 600,
      budget: { usd: "250", period: "monthly" },
      models: ["gpt-4o*", "claude-*"],
      addresses: ["203.0.113.0/24"],
    },
    spent_usd: "241.870004315",
    running: 3,
  }),
  key("key_eval", "Nightly evaluations", {
    limits: { budget: { usd: "20", period: "daily" }, max_running: 8 },
    spent_usd: "4.02",
    last_used_at: at(412),
  }),
  key("key_dana", "Dana's laptop", {
    limits: { expires_at: "2026-12-01T00:00:00.000Z" },
    spent_usd: "0.000012345",
    last_used_at: null,
  }),
  key("key_mcp1", "Claude Code, MCP", { permissions: ["inference", "account:read", "keys:write"], spent_usd: "12.5" }),
  key("key_gone", "Old staging", { revoked_at: "2026-11-01T00:00:00.000Z" }),
];

export const USAGE = Array.from({ length: REQUESTS }, (_, index) => usageRow(index));

function usageRow(index) {
  const model = MODELS[[0, 2, 1, 2, 4, 0, 3, 6, 1, 5][index % 10]];
  const from = KEYS[[0, 0, 1, 0, 3, 0, 1][index % 7]];
  const status = index % 23 === 7 ? "client_gone" : index % 61 === 11 ? "upstream_failed" : "completed";
  const input = 300 + ((index * 7919) % 9000);
  const output = status === "upstream_failed" ? 0 : 20 + ((index * 104_729) % 1800);
  return {
    request_id: `req_${String(REQUESTS - index).padStart(26, "0")}`,
    seq: REQUESTS - index,
    kind: "usage",
    created_at: at(index * 4 + 1),
    settled_at: at(index * 4),
    key_id: from.id,
    key_name: from.name,
    endpoint: ["/v1/chat/completions", "/v1/messages", "/v1/responses"][index % 3],
    model: model.id,
    status,
    billing_status: "settled",
    settled_by: status === "client_gone" ? "estimate" : "upstream",
    input_tokens: input,
    cache_read_tokens: index % 3 === 0 ? 2048 : 0,
    cache_write_5m_tokens: 0,
    cache_write_1h_tokens: 0,
    output_tokens: output,
    reasoning_tokens: 0,
    web_searches: 0,
    cost_usd: index === 2 ? "0.000000125" : usd(BigInt(input * 2500 + output * 10_000)),
    uncollected_usd: "0",
    dropped: null,
  };
}

export const BALANCE = {
  balance_usd: "182.419503875",
  held_usd: "0.384",
  available_usd: "182.035503875",
  uncollected_usd: "0",
  running: 3,
  as_of: at(0),
};

const TOP_UPS = [
  {
    id: "top_3",
    at: at(1900),
    kind: "auto",
    amount_usd: "100",
    status: "paid",
    receipt_url: "https://pay.example.com/r/3",
  },
  {
    id: "top_2",
    at: at(9000),
    kind: "checkout",
    amount_usd: "250",
    status: "paid",
    receipt_url: "https://pay.example.com/r/2",
  },
  { id: "top_1", at: at(30_000), kind: "checkout", amount_usd: "20", status: "failed", receipt_url: null },
];

const AUTO = {
  enabled: true,
  threshold_usd: "25",
  amount_usd: "100",
  monthly_cap_usd: "500",
  spent_this_month_usd: "100",
  method: { brand: "Visa", last4: "4242" },
  stopped: null,
  attempt: null,
};

const JOURNAL = [
  {
    seq: 10_003,
    id: "top_3",
    kind: "credit",
    at: at(1900),
    amount_usd: "100",
    balance_after_usd: "182.419503875",
    description: "Automatic top-up",
  },
  ...USAGE.slice(0, 24).map((row) => ({
    seq: row.seq,
    id: row.request_id,
    kind: "usage",
    at: row.settled_at,
    amount_usd: `-${row.cost_usd}`,
    balance_after_usd: "82.419503875",
    description: `${row.model}, by ${row.key_name}`,
  })),
];

export const ACCOUNT = {
  account_id: "acct_01jdf0000000000000000000aa",
  user: { id: "7d1f7f8e-1c52-4f2b-9d39-8d9a6a3f3a10", email: "robin@example.com" },
  created_at: "2026-09-01T08:00:00.000Z",
  ...BALANCE,
};

const page = (data, next_cursor = null) => ({ data, next_cursor, as_of: at(0) });

/** The answers of a full account, by method and path: a function of the query. */
export const FULL = {
  "POST /console/api/account": () => ACCOUNT,
  "GET /console/api/balance": () => BALANCE,
  "GET /console/api/keys": () => page(KEYS),
  "GET /console/api/models": () => ({ data: MODELS }),
  "GET /console/api/topups": () => page(TOP_UPS),
  "GET /console/api/topups/auto": () => AUTO,
  "GET /console/api/journal": () => page(JOURNAL),
  "GET /console/api/usage": (query) => {
    const rows = USAGE.filter((row) => !query.get("model") || row.model === query.get("model"));
    const from = Number(query.get("cursor") ?? 0);
    const limit = Number(query.get("limit") ?? PAGE_ROWS);
    return page(rows.slice(from, from + limit), from + limit < rows.length ? String(from + limit) : null);
  },
  "GET /console/api/usage/daily": (query) => page(daily(query.get("from"), query.get("to"), query.get("by"))),
};

/** The same for an account that was made a moment ago. */
export const EMPTY = {
  ...FULL,
  "GET /console/api/balance": () => ({ ...BALANCE, balance_usd: "0", held_usd: "0", available_usd: "0", running: 0 }),
  "GET /console/api/keys": () => page([]),
  "GET /console/api/topups": () => page([]),
  "GET /console/api/topups/auto": () => ({
    ...AUTO,
    enabled: false,
    threshold_usd: "0",
    amount_usd: "0",
    monthly_cap_usd: "0",
    spent_this_month_usd: "0",
    method: null,
  }),
  "GET /console/api/journal": () => page([]),
  "GET /console/api/usage": () => page([]),
  "GET /console/api/usage/daily": () => page([]),
};

function daily(from, to, by) {
  const rows = [];
  const groups =
    { key: KEYS.map(({ id }) => id).slice(0, 4), endpoint: ["/v1/chat/completions", "/v1/messages"] }[by] ??
    MODELS.slice(0, 7).map(({ id }) => id);
  for (let day = Date.parse(`${from}T00:00:00Z`); day <= Date.parse(`${to}T00:00:00Z`); day += DAY_MS) {
    const n = Math.round(day / DAY_MS);
    for (const [index, group] of groups.entries()) {
      const weekday = n % 7 < 2 ? 3n : 10n;
      const cost =
        (weekday * BigInt(((n * (index + 3) * 7919) % 700) + 60) * 1_000_000n) / BigInt(index + 1) + BigInt(n % 1000);
      rows.push({
        day: new Date(day).toISOString().slice(0, 10),
        group,
        requests: 20 + ((n * (index + 1)) % 90),
        input_tokens: 90_000,
        output_tokens: 14_000,
        cost_usd: usd(cost),
      });
    }
  }
  return rows;
}

/** So many minutes before `NOW`. */
function at(minutes) {
  return new Date(NOW - minutes * MINUTE_MS).toISOString();
}

function usd(nano) {
  const text = `${nano / 1_000_000_000n}.${String(nano % 1_000_000_000n).padStart(9, "0")}`;
  return text.replace(/\.?0+$/, "");
}
