// Runs wrangler's commands and its development server, which is restarted when it fails. Without a network, wrangler
// prints no warnings.
import { closeSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isEnding, launch, ROOT } from "./processes.mjs";
import { run, StepFailed } from "./steps.mjs";

const WRANGLER = path.join(ROOT, "node_modules/wrangler/bin/wrangler.js");

// `wrangler dev` can crash when a client disconnects in the middle of a stream. It is restarted at most this often in
// a row. A run that lasted at least this long resets the count.
const MAX_RESTARTS = 5;
const CALM_MS = 60_000;

// Enough time for a whole build: wrangler builds again if a file has changed since our build.
const START_LIMIT_MS = 300_000;
const LOG_TAIL_LINES = 40;

/** Returns the environment in which wrangler, and programs that call wrangler, send nothing over the network. */
export function wranglerEnv() {
  const { FORCE_COLOR, ...inherited } = process.env; // the output goes to a file or is parsed, so it has no colours
  return {
    ...inherited,
    PATH: `${path.join(ROOT, "node_modules/.bin")}${path.delimiter}${process.env.PATH}`,
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_WRITE_LOGS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // The Worker's variables come only from --env-file or .dev.vars, not from this process's environment.
    CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
    CLOUDFLARE_INCLUDE_PROCESS_ENV: "false",
    NO_COLOR: "1",
  };
}

/** Runs a wrangler command. Resolves to its output. */
export function wrangler(...args) {
  return run(process.execPath, [WRANGLER, ...args], { env: wranglerEnv() });
}

/**
 * Starts `wrangler dev` on 127.0.0.1 with its data in `folder` and its output in `log`. When the Worker answers, it
 * resolves to `{ ending }`, a promise that rejects when wrangler has ended too often to be restarted.
 */
export async function startDev({ port, folder, envFile, log }) {
  const start = async (flags) => {
    const child = spawnDev({ port, folder, envFile, log, flags });
    await untilAnswers(child, port, log);
    return child;
  };
  const keepRunning = async (child) => {
    for (let restarts = 0; ; ) {
      const since = performance.now();
      const code = await ended(child);
      if (isEnding()) return;
      restarts = performance.now() - since > CALM_MS ? 1 : restarts + 1;
      if (restarts > MAX_RESTARTS) throw new StepFailed(`wrangler dev ended too often.\n${tail(log)}`);
      console.error(`wrangler dev ended (${code}); restart ${restarts} of ${MAX_RESTARTS}. Log: ${log}`);
      child = await start("a");
    }
  };
  const ending = keepRunning(await start("w"));
  ending.catch(() => {}); // the caller may await the promise later; until then a rejection must not count as unhandled
  return { ending };
}

function spawnDev({ port, folder, envFile, log, flags }) {
  const file = openSync(log, flags, 0o600);
  const args = ["dev", "--ip", "127.0.0.1", "--port", String(port), "--persist-to", folder, "--env-file", envFile];
  // 0 means any free port for the debugger, so that two npm starts do not both use 9229.
  const child = launch(
    process.execPath,
    [WRANGLER, ...args, "--inspector-port", "0", "--show-interactive-dev-session=false"],
    {
      env: wranglerEnv(),
      stdio: ["ignore", file, file],
    },
  );
  closeSync(file);
  return child;
}

/** Resolves to the exit code or signal. */
function ended(child) {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? child.signalCode);
    else child.once("exit", (code, signal) => resolve(code ?? signal));
  });
}

async function untilAnswers(child, port, log) {
  const deadline = performance.now() + START_LIMIT_MS;
  let over = false;
  void ended(child).then(() => (over = true));
  for (;;) {
    // Any answer shows that the Worker runs; its content does not matter here.
    const answered = await fetch(`http://127.0.0.1:${port}/v1/models`, { signal: AbortSignal.timeout(10_000) }).catch(
      () => null,
    );
    if (answered) return answered.body?.cancel();
    if (over) throw new StepFailed(`wrangler dev ended before the Worker answered.\n${tail(log)}`);
    if (performance.now() > deadline) throw new StepFailed(`The Worker does not answer.\n${tail(log)}`);
    await sleep(100);
  }
}

/** Returns the last lines of wrangler's log, for a message. */
export function tail(log) {
  return `The end of ${log}:\n${readFileSync(log, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n")}`;
}
