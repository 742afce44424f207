// The programs that developers use, run as they are, each in an empty home of its own.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { launch, ROOT } from "../../dev/processes.mjs";

const MODULES = path.join(import.meta.dirname, "node_modules");
// A turn takes a second; a client that retries a refusal, seven.
const LIMIT_MS = 60_000;

/** The program of Claude Code: its install script, which would link it, is not run. */
function claudeBinary() {
  const { platform, arch } = process;
  const names = [`${platform}-${arch}`, `${platform}-${arch}-musl`].map((name) =>
    path.join(MODULES, `@anthropic-ai/claude-code-${name}/claude`),
  );
  const found = names.find((file) => existsSync(file));
  if (!found) throw new Error(`Claude Code has no program for ${platform}-${arch}`);
  return found;
}

/**
 * A folder for one run, with a file in it for each of `files` (name → text): `{ work, home, remove() }`.
 */
export function workplace(files = {}) {
  // Not in the system's temporary folder, where Codex refuses to keep what it needs.
  const parent = path.join(ROOT, ".wrangler/clients");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(path.join(parent, "run-"));
  const [work, home] = [path.join(folder, "work"), path.join(folder, "home")];
  for (const made of [work, home]) mkdirSync(made);
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(work, name), text);
  return { work, home, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Claude Code's answer to a prompt, without a terminal and with its shell, or the `tools` named, allowed. `flags` go before the
 * prompt, `env` holds the key in one of the ways that it takes one. Resolves to `{ code, stdout, stderr }`.
 */
export function claude({ origin, model, prompt, place, flags = ["--bare"], tools = "Bash", env }) {
  const args = [...flags, "-p", prompt, "--model", model, "--allowedTools", tools];
  return program(claudeBinary(), args, place, {
    ANTHROPIC_BASE_URL: origin,
    CLAUDE_CODE_MAX_RETRIES: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    ...env,
  });
}

/** `claude mcp …`, which needs no model. Resolves as `claude` does. */
export function claudeMcp(args, place) {
  return program(claudeBinary(), ["mcp", ...args], place, { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" });
}

/** Codex's answer to a prompt, without a terminal and with its shell allowed. Resolves as `claude` does. */
export function codex({ origin, key, model, prompt, place, config = "" }) {
  const home = path.join(place.home, ".codex");
  mkdirSync(home);
  writeFileSync(path.join(home, "config.toml"), codexConfig(origin, model) + config);
  const script = path.join(MODULES, "@openai/codex/bin/codex.js");
  // The tests run in a throw-away folder, and a machine may lack what Codex's own sandbox needs.
  const args = [script, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt];
  return program(process.execPath, args, place, { CODEX_HOME: home, ONEINTERFACE_API_KEY: key });
}

/** Codex's configuration as README has it, for another address and model. */
function codexConfig(origin, model) {
  const readme = readFileSync(path.join(ROOT, "README.md"), "utf8");
  const [, toml] = readme.match(/```toml\n(model = [^`]*\[model_providers\.oneinterface\][^`]*)```/);
  return toml.replace(/^model = .*$/m, `model = "${model}"`).replace(/^base_url = .*$/m, `base_url = "${origin}/v1"`);
}

function program(command, args, { work, home }, env) {
  const child = launch(command, args, {
    cwd: work,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
    // Nothing of this process's own: a developer's settings would decide what is tested.
    env: { PATH: process.env.PATH, HOME: home, TMPDIR: os.tmpdir(), ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? signal, stdout, stderr }));
  });
}
