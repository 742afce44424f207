// The local D1: its tables and the catalogue in it. Both are compared with what D1 holds at every start,
// never with what an earlier start remembers: somebody may have applied another catalogue meanwhile, or
// have changed the database's id.
import { writeFileSync } from "node:fs";
import { run, step } from "./steps.mjs";
import { wrangler, wranglerEnv } from "./wrangler.mjs";

/**
 * Applies the migrations and the catalogue at `catalog` to the D1 of `state`; `demoUrl`, where there
 * is one, is laid behind as the last route of every model that none of the `secrets`, the names of keys that are set, is
 * for; `allowUnpriced` is the Worker's variable
 * ALLOW_UNPRICED_MODELS. Resolves to `{ changed: string[], secretHosts: string }`: what was applied,
 * for people, and the value of the Worker's variable SECRET_HOSTS.
 */
export async function prepareDatabase(state, { catalog, demoUrl, secrets = [], allowUnpriced = "" }) {
  const migrated = await step("applying the D1 migrations", () =>
    wrangler("d1", "migrations", "apply", "DB", "--local", "--persist-to", state.folder),
  );
  const overlay = demoUrl ? ["--overlay", writeOverlay(state.file.overlay, demoUrl, secrets)] : [];
  await step("building the operator's commands", () => run("cargo", ["build", "-q", "-p", "xtask"]));
  const env = { ...wranglerEnv(), ALLOW_UNPRICED_MODELS: allowUnpriced };
  const xtask = (...args) => run("cargo", ["run", "-q", "-p", "xtask", "--", ...args], { env });
  // --correct: no isolate runs yet that could still have the old prices.
  const applied = await step("applying the catalogue", () =>
    xtask("catalog", "apply", catalog, ...overlay, "--persist-to", state.folder, "--yes", "--correct", "--summary"),
  );
  const changed = [];
  if (!migrated.includes("No migrations to apply")) changed.push("D1 migrations");
  if (!applied.includes("no change")) changed.push("catalogue");
  return { changed, secretHosts: (await xtask("catalog", "secret-hosts", catalog, ...overlay)).trim() };
}

/** Writes the file that lays the demo upstream behind the catalogue; returns its path. */
export function writeOverlay(file, demoUrl, secrets) {
  const toml = `# Made by npm start: the demo upstream, the last route of each model that no provider with a key serves.
# Keys that are set. A model that one of them is for is never answered, or charged for, by the demo.
secrets_set = ${JSON.stringify(secrets.toSorted())}

[[upstream]]
id = "demo"
dialects = ["openai_chat", "openai_embeddings", "openai_responses", "anthropic_messages"]
base_url = "${demoUrl}"
priority = 1000
responses_complete = true
`;
  writeFileSync(file, toml);
  return file;
}
