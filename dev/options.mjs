// The command line of `npm start`.
import path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "./processes.mjs";
import { StepFailed } from "./steps.mjs";

export const HELP = `npm start [-- options]

Builds what is missing and runs One Interface on this machine, with an account, credit and a key.

  --port N         the port on 127.0.0.1 (default 8787)
  --state DIR      the folder of all data (default .wrangler/state)
  --catalog FILE   a catalogue instead of catalog.toml; the demo upstream is then left out
  --secrets FILE   provider keys and settings, dotenv (default .dev.vars, which may be absent)
  --fresh          deletes the data of an earlier npm start in the state folder, then starts
  --help           prints this text`;

const DEFAULT_STATE = path.join(ROOT, ".wrangler/state"); // wrangler's own default
const DEFAULT_SECRETS = path.join(ROOT, ".dev.vars");
const DEFAULT_CATALOG = path.join(ROOT, "catalog.toml");

/**
 * Returns the options as absolute paths and numbers. A relative path is relative to the user's current directory.
 * `ownCatalog` says whether --catalog was given, `secretsNamed` whether --secrets was given, and `isDefault` whether
 * plain `npx wrangler dev` reads the same state and secrets.
 */
export function parseOptions(args, base = process.env.INIT_CWD ?? process.cwd()) {
  const values = read(args);
  const resolve = (file, fallback) => (file === undefined ? fallback : path.resolve(base, file));
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new StepFailed(`--port ${values.port}: not a port.\n\n${HELP}`);
  const state = resolve(values.state, DEFAULT_STATE);
  const secrets = resolve(values.secrets, DEFAULT_SECRETS);
  return {
    help: values.help,
    fresh: values.fresh,
    port,
    state,
    secrets,
    secretsNamed: values.secrets !== undefined,
    catalog: resolve(values.catalog, DEFAULT_CATALOG),
    ownCatalog: values.catalog !== undefined,
    isDefault: state === DEFAULT_STATE && secrets === DEFAULT_SECRETS,
  };
}

function read(args) {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const options = {
    port: { ...text, default: "8787" },
    state: text,
    catalog: text,
    secrets: text,
    fresh: flag,
    help: { ...flag, short: "h" },
  };
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new StepFailed(`${error.message}\n\n${HELP}`);
  }
}
