// The state folder holds everything that one `npm start` keeps for the next. wrangler's data is in v3/. All other
// files are made here, and only their owner can read them.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { formatDotenv, parseDotenv, withBlock, withoutBlock } from "./dotenv.mjs";
import { StepFailed } from "./steps.mjs";
import { answers } from "./ports.mjs";

const FILES = {
  worker: "worker.env", // the Worker's variables, made once
  merged: "wrangler.env", // worker.env and the user's variables, for wrangler dev
  firstRun: "first-run.json", // base URL, key and account, for people and scripts
  overlay: "demo.toml", // the demo upstream, as an overlay of the catalogue
  signIn: "sign-in.json", // the users, sessions and mails of the sign-in stand-in, and its signing key
  running: "running.json", // the process that uses the folder
  payments: "payments.json", // the objects of the stand-in for Stripe
  log: "wrangler.log",
};

/** Opens the state in `folder`, and makes the folder if it is missing. */
export function openState(folder) {
  mkdirSync(folder, { recursive: true });
  const file = Object.fromEntries(Object.entries(FILES).map(([name, base]) => [name, path.join(folder, base)]));
  const data = path.join(folder, "v3");
  // This check comes before this start writes a file: it shows whether v3/ belongs to an earlier npm start or to
  // another program.
  const isOurs = existsSync(file.running) || existsSync(file.worker);

  return {
    folder,
    file,

    /** Returns whether there is any data of D1 or of the objects. */
    hasData: () => existsSync(data),

    /** Deletes the files of npm start and of wrangler, and no others. Returns false, and deletes nothing, if npm start did not make them. */
    clear({ certain }) {
      if (!certain && !isOurs) return false;
      const { running, ...ours } = file; // `running` is the claim of this start
      for (const name of [data, ...Object.values(ours)]) rmSync(name, { recursive: true, force: true });
      return true;
    },

    /** Throws if another npm start uses the folder: two workerds cannot share the same SQLite files. */
    async claim(port) {
      const other = readJson(file.running);
      // If an npm start is killed, its wrangler keeps running. So the folder may be in use although the process has ended.
      if (other && other.pid !== process.pid && (await answers(other.port))) {
        const who = isAlive(other.pid) ? `npm start (process ${other.pid})` : "gateway, which an npm start left behind";
        throw new StepFailed(
          `${folder} is in use by another ${who}, on port ${other.port}. ` +
            "End that one, or choose another folder with --state.",
        );
      }
      writePrivate(file.running, json({ pid: process.pid, port }));
    },

    /** Returns the Worker's variables that the user need not choose. They are made once and kept; `computed` is new at each start. */
    workerSettings(computed) {
      const made = defaults();
      const kept = parseDotenv(readText(file.worker) ?? "");
      // A variable that only an earlier version needed is dropped.
      const known = Object.keys(kept).filter((name) => name in made);
      const settings = { ...made, ...Object.fromEntries(known.map((name) => [name, kept[name]])), ...computed };
      writePrivate(file.worker, formatDotenv(settings));
      return settings;
    },

    firstRun: () => readJson(file.firstRun),
    writeFirstRun: (firstRun) => writePrivate(file.firstRun, json(firstRun)),
    writeMerged: (settings) => writePrivate(file.merged, formatDotenv(settings, { expanded: true })),
  };
}

function defaults() {
  const secret = () => randomBytes(32).toString("hex");
  return {
    KEY_PEPPERS: `1:${secret()}`,
    OPERATOR_SECRET: secret(),
    STRIPE_SECRET_KEY: `sk_test_${secret()}`, // for the stand-in for Stripe
    STRIPE_WEBHOOK_SECRETS: `whsec_${secret()}`,
    WELCOME_CREDIT_USD: "10",
    OUTBOX_FLUSH_SECONDS: "2",
  };
}

/** Returns the user's variables in the secrets file `{ secrets, secretsNamed }`, without the block of npm start. */
export function userSettings({ secrets, secretsNamed }) {
  const text = readText(secrets);
  if (text === null && secretsNamed) throw new StepFailed(`--secrets ${secrets}: there is no such file.`);
  return parseDotenv(withoutBlock(text ?? ""));
}

/** Updates the marked block of .dev.vars, so that plain `npx wrangler dev` has all variables that it needs. */
export function updateDevVars(file, settings) {
  const text = readText(file);
  const updated = withBlock(text ?? "", settings);
  if (updated === text) return;
  if (text === null) writePrivate(file, updated);
  else writeFileSync(file, updated); // keeps the permissions of the file
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function readText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

function readJson(file) {
  const text = readText(file);
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null; // a crash cut the file short; it counts as missing
  }
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Replaces a file in one step. Only its owner can read the file. */
function writePrivate(file, text) {
  const aside = `${file}.new`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, file);
}
