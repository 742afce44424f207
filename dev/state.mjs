// The state folder: all that one `npm start` keeps for the next. wrangler's data is in v3/, the rest
// are files of ours, readable by their owner alone.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { formatDotenv, parseDotenv, withBlock, withoutBlock } from "./dotenv.mjs";
import { StepFailed } from "./steps.mjs";
import { answers } from "./ports.mjs";

const FILES = {
  worker: "worker.env", // what the Worker needs, made once
  merged: "wrangler.env", // that and the user's own, for wrangler dev
  firstRun: "first-run.json", // base URL, key and account, for people and scripts
  overlay: "demo.toml", // the demo upstream, for the catalogue
  signIn: "sign-in.json", // the users, sessions and mails of the sign-in stand-in, and its signing key
  running: "running.json", // who uses the folder now
  payments: "payments.json", // what the stand-in for Stripe knows
  log: "wrangler.log",
};

/** The state in `folder`, with a method for each thing that is kept; makes the folder. */
export function openState(folder) {
  mkdirSync(folder, { recursive: true });
  const file = Object.fromEntries(Object.entries(FILES).map(([name, base]) => [name, path.join(folder, base)]));
  const data = path.join(folder, "v3");
  // Looked at before this start leaves anything: is v3/ from an earlier one, or somebody else's?
  const isOurs = existsSync(file.running) || existsSync(file.worker);

  return {
    folder,
    file,

    /** Whether D1 and the objects hold anything yet. */
    hasData: () => existsSync(data),

    /** Deletes what npm start and wrangler keep here, and nothing else. Returns whether it was theirs. */
    clear({ certain }) {
      if (!certain && !isOurs) return false;
      const { running, ...ours } = file; // `running` is this start's own claim
      for (const name of [data, ...Object.values(ours)]) rmSync(name, { recursive: true, force: true });
      return true;
    },

    /** Fails when another npm start uses the folder: two workerds on one set of SQLite files do not work. */
    async claim(port) {
      const other = readJson(file.running);
      // A start that was killed leaves its wrangler running, so a process that is gone proves nothing.
      if (other && other.pid !== process.pid && (await answers(other.port))) {
        const who = isAlive(other.pid) ? `npm start (process ${other.pid})` : "gateway, which an npm start left behind";
        throw new StepFailed(
          `${folder} is in use by another ${who}, on port ${other.port}. ` +
            "End that one, or choose another folder with --state.",
        );
      }
      writePrivate(file.running, json({ pid: process.pid, port }));
    },

    /** What the Worker needs and nobody has to choose: made once, kept, `computed` renewed each time. */
    workerSettings(computed) {
      const made = defaults();
      const kept = parseDotenv(readText(file.worker) ?? "");
      // What an earlier version made and nothing needs any more is left behind.
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
    STRIPE_SECRET_KEY: `sk_test_${secret()}`, // of the stand-in for Stripe
    STRIPE_WEBHOOK_SECRETS: `whsec_${secret()}`,
    WELCOME_CREDIT_USD: "10",
    OUTBOX_FLUSH_SECONDS: "2",
  };
}

/** The user's variables in the secrets file `{ secrets, secretsNamed }`, without what we put there. */
export function userSettings({ secrets, secretsNamed }) {
  const text = readText(secrets);
  if (text === null && secretsNamed) throw new StepFailed(`--secrets ${secrets}: there is no such file.`);
  return parseDotenv(withoutBlock(text ?? ""));
}

/** Brings the marked block of .dev.vars in step, so that plain `npx wrangler dev` has what it needs. */
export function updateDevVars(file, settings) {
  const text = readText(file);
  const updated = withBlock(text ?? "", settings);
  if (updated === text) return;
  if (text === null) writePrivate(file, updated);
  else writeFileSync(file, updated); // keeps the user's permissions
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
    return null; // cut short by a crash: as if it had never been written
  }
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Replaces a file whole; only its owner can read it. */
function writePrivate(file, text) {
  const aside = `${file}.new`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, file);
}
