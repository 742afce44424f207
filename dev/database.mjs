// The local D1: its tables and the catalogue in it. Both are applied when they, or what applies them,
// have changed since this state saw them last.
import { writeFileSync } from "node:fs";
import { stamp } from "./stamp.mjs";
import { run, step } from "./steps.mjs";
import { wrangler, wranglerEnv } from "./wrangler.mjs";

const MIGRATIONS = ["d1_migrations"];
const CATALOGUE_READER = ["xtask", "crates/catalog", "crates/billing", "Cargo.lock"];

/**
 * Applies the migrations and the catalogue at `catalog` to the D1 of `state`; `demoUrl`, where there
 * is one, is laid behind as the last route of every model; `allowUnpriced` is the Worker's variable
 * ALLOW_UNPRICED_MODELS. Resolves to `{ changed: string[], secretHosts: string }`: what was applied,
 * for people, and the value of the Worker's variable SECRET_HOSTS.
 */
export async function prepareDatabase(state, { catalog, demoUrl, allowUnpriced = "" }) {
  const before = state.applied();
  const applied = {
    migrations: stamp([], MIGRATIONS),
    catalogue: stamp([catalog, demoUrl, allowUnpriced], [catalog, ...CATALOGUE_READER]),
  };
  const changed = [];

  if (before.migrations !== applied.migrations) {
    await step("applying the D1 migrations", () =>
      wrangler("d1", "migrations", "apply", "DB", "--local", "--persist-to", state.folder),
    );
    changed.push("D1 migrations");
  }

  if (changed.length === 0 && before.catalogue === applied.catalogue) {
    return { changed, secretHosts: before.secretHosts };
  }
  const overlay = demoUrl ? ["--overlay", writeOverlay(state, demoUrl)] : [];
  await step("building the operator's commands", () => run("cargo", ["build", "-q", "-p", "xtask"]));
  const env = { ...wranglerEnv(), ALLOW_UNPRICED_MODELS: allowUnpriced };
  const xtask = (...args) => run("cargo", ["run", "-q", "-p", "xtask", "--", ...args], { env });
  // --correct: no isolate runs yet that could still have the old prices.
  await step("applying the catalogue", () =>
    xtask("catalog", "apply", catalog, ...overlay, "--persist-to", state.folder, "--yes", "--correct", "--summary"),
  );
  const secretHosts = (await xtask("catalog", "secret-hosts", catalog, ...overlay)).trim();
  state.writeApplied({ ...applied, secretHosts });
  return { changed: [...changed, "catalogue"], secretHosts };
}

function writeOverlay(state, demoUrl) {
  const toml = `# Made by npm start: the demo upstream, behind every other route.
[[upstream]]
id = "demo"
dialects = ["openai_chat", "openai_embeddings"]
base_url = "${demoUrl}"
priority = 1000
`;
  writeFileSync(state.file.overlay, toml);
  return state.file.overlay;
}
