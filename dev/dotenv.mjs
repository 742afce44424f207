// Reads and writes dotenv files as wrangler reads .dev.vars and --env-file. The package `dotenv` is pinned to the
// version that wrangler bundles, so that both find the same values in a file.
import { parse } from "dotenv";
import { StepFailed } from "./steps.mjs";

/** Returns the variables of a dotenv file's text as an object of strings. */
export const parseDotenv = (text) => parse(text);

/**
 * Returns the text of a dotenv file with these variables. Set `expanded` for a file that wrangler gets as --env-file:
 * there wrangler replaces $NAME, so each dollar sign is escaped. In .dev.vars wrangler does not replace it.
 */
export function formatDotenv(variables, { expanded = false } = {}) {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(name, expanded ? value.replaceAll("$", "\\$") : value)}\n`)
    .join("");
}

function quote(name, value) {
  // Double quotes are the last choice: dotenv turns \n in them into a line break.
  const mark = ["'", "`"].find((quote) => !value.includes(quote)) ?? '"';
  const quoted = `${mark}${value}${mark}`;
  if (parseDotenv(`X=${quoted}`).X !== value) {
    throw new StepFailed(`The value of ${name} cannot be written to a dotenv file (quotes or line breaks in it).`);
  }
  return quoted;
}

const BLOCK_START = "# >>> made by npm start: what the Worker needs and this file does not set. Do not edit.";
const BLOCK_END = "# <<< made by npm start";

/** Returns the text without the marked block: exactly the bytes that the user wrote. */
export function withoutBlock(text) {
  const start = text.indexOf(BLOCK_START);
  const end = text.indexOf(BLOCK_END);
  if (start === -1 || end < start) return text;
  return text.slice(0, start) + text.slice(end + BLOCK_END.length).replace(/^\n/, "");
}

/** Returns the text with one marked block at its end. The block sets those variables of `needed` that the user's lines do not set. */
export function withBlock(text, needed) {
  const own = withoutBlock(text);
  const set = parseDotenv(own);
  const lacking = Object.fromEntries(Object.entries(needed).filter(([name]) => !(name in set)));
  if (Object.keys(lacking).length === 0) return own;
  const separator = own === "" || own.endsWith("\n") ? "" : "\n";
  return `${own}${separator}${BLOCK_START}\n${formatDotenv(lacking)}${BLOCK_END}\n`;
}
