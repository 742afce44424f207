// The Python suite: the SDK from PyPI, in a venv in .venv that is made again when its pins change.
import { copyFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../dev/processes.mjs";
import { run, step } from "../../dev/steps.mjs";
import { prepare } from "../e2e/bundle.mjs";
import { LeftOut } from "../left-out.mjs";

const REQUIREMENTS = path.join(ROOT, "tests/python/requirements.txt");
const VENV = path.join(ROOT, ".venv");
// A copy of the requirements, put there last: what is installed.
const INSTALLED = path.join(VENV, "installed.txt");
const PYTHON = path.join(VENV, "bin/python");

/** Runs tests/python; throws `LeftOut` where Python or its venv is missing. */
export async function python() {
  await run("python3", ["-c", "import venv, ensurepip"]).catch(() => {
    throw new LeftOut("python3 with venv was not found (Debian: apt-get install python3-venv)");
  });
  await ensureVenv();
  await prepare();
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  await step("python", () => run(PYTHON, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/python"], { env }));
}

async function ensureVenv() {
  const wanted = readFileSync(REQUIREMENTS, "utf8");
  if (existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === wanted) return;
  rmSync(VENV, { recursive: true, force: true });
  await step("installing the Python packages", async () => {
    await run("python3", ["-m", "venv", VENV]);
    await run(PYTHON, [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--requirement",
      REQUIREMENTS,
    ]);
  });
  copyFileSync(REQUIREMENTS, INSTALLED);
}
