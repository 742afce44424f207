// Compares the three figures of crates/dialect/src/tokens with real vocabularies. `npm run token-figures` checks that
// counts.json is what the vocabularies make of the texts, prints the errors, and checks the lower bound of every
// token of every vocabulary; with `-- --update` it writes counts.json anew.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { run, step } from "../../dev/steps.mjs";

const FOLDER = import.meta.dirname;
const ROOT = path.join(FOLDER, "../..");
const COUNTS = path.join(FOLDER, "counts.json");
// npm writes this file last, so it is missing after an interrupted install.
const INSTALLED = path.join(FOLDER, "node_modules/.package-lock.json");
const LOCK = path.join(FOLDER, "package-lock.json");

if (!existsSync(INSTALLED) || statSync(INSTALLED).mtimeMs < statSync(LOCK).mtimeMs) {
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await step("installing the vocabularies", () => run("npm", args, { cwd: FOLDER }));
}
const { VOCABULARIES, counter, tokens } = await import("./vocabularies.mjs");
const names = Object.keys(VOCABULARIES);

const texts = Object.fromEntries(
  readdirSync(path.join(FOLDER, "texts"))
    .sort()
    .map((name) => [name.replace(/\.txt$/, ""), readFileSync(path.join(FOLDER, "texts", name), "utf8")]),
);
const counts = Object.fromEntries(Object.keys(texts).map((name) => [name, {}]));
for (const name of names) {
  const count = counter(name);
  for (const [text, row] of Object.entries(counts)) row[name] = count(texts[text]);
}
const json = `{\n${Object.entries(counts)
  .map(([text, row]) => `${JSON.stringify(text)}: ${JSON.stringify(row)}`)
  .join(",\n")}\n}\n`;
if (process.argv.includes("--update")) writeFileSync(COUNTS, json);
else if (readFileSync(COUNTS, "utf8") !== json)
  fail("counts.json is not what the vocabularies make of the texts; run with --update");

// The errors and the bounds of the texts are a native test, for it needs no vocabulary.
execFileSync("cargo", ["test", "-q", "-p", "dialect", "--test", "token_figures", "--", "--nocapture"], {
  cwd: ROOT,
  stdio: "inherit",
});

execFileSync("cargo", ["build", "-q", "-p", "dialect", "--example", "token_figures"], { cwd: ROOT, stdio: "inherit" });
for (const name of names) {
  // A token may hold a part of a character. Its first byte stands for the character.
  const whole = tokens(name).map((bytes) =>
    bytes
      .toString("utf8")
      .replace(/^\ufffd+/, "")
      .replace(/\ufffd+$/, "一"),
  );
  const every = whole.filter((token) => token !== "" && !token.includes("\0"));
  for (const family of new Set([VOCABULARIES[name], "unknown"])) {
    const input = every.map((token) => `${token}\0`).join("");
    const program = path.join(ROOT, "target/debug/examples/token_figures");
    const lines = execFileSync(program, [family], { input, maxBuffer: 1 << 28 })
      .toString()
      .trim()
      .split("\n");
    if (lines.length !== every.length) fail(`${name}: ${lines.length} answers for ${every.length} tokens`);
    const crossed = every.filter((_, at) => Number(lines[at].split(" ")[0]) !== 1);
    if (crossed.length > 0)
      fail(
        `${name} as ${family}: the lower bound is not 1 for ${crossed
          .slice(0, 9)
          .map((t) => JSON.stringify(t))
          .join(" ")}`,
      );
  }
  console.log(`${name}: the lower bound of each of ${every.length} tokens is 1`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
