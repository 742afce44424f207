// dotenv files, by the grammar with which wrangler reads .dev.vars and --env-file.
import { StepFailed } from "./steps.mjs";

// dotenv's own expression (version 16, which wrangler bundles): name, =, and a value in one of three
// kinds of quotes or up to a comment.
const LINE =
  /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm;

/** The variables of a dotenv file's text, as an object of strings. */
export function parseDotenv(text) {
  const variables = {};
  for (const [, name, raw] of text.replace(/\r\n?/g, "\n").matchAll(LINE)) {
    const trimmed = (raw ?? "").trim();
    const value = trimmed.replace(/^(['"`])([\s\S]*)\1$/, "$2");
    variables[name] = trimmed.startsWith('"') ? value.replace(/\\n/g, "\n").replace(/\\r/g, "\r") : value;
  }
  return variables;
}

/**
 * The text of a dotenv file with these variables. `expanded` is for a file that is given to wrangler
 * with --env-file: there, unlike in .dev.vars, $NAME is replaced, so a dollar sign is escaped.
 */
export function formatDotenv(variables, { expanded = false } = {}) {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(name, expanded ? value.replaceAll("$", "\\$") : value)}\n`)
    .join("");
}

function quote(name, value) {
  // In double quotes \n would become a line break, so they are the last choice.
  const mark = ["'", "`"].find((quote) => !value.includes(quote)) ?? '"';
  const quoted = `${mark}${value}${mark}`;
  if (parseDotenv(`X=${quoted}`).X !== value) {
    throw new StepFailed(`The value of ${name} cannot be written to a dotenv file (quotes or line breaks in it).`);
  }
  return quoted;
}

const BLOCK_START = "# >>> made by npm start: what the Worker needs and this file does not set. Do not edit.";
const BLOCK_END = "# <<< made by npm start";

/** The text without the marked block: what the user wrote, to the byte. */
export function withoutBlock(text) {
  const start = text.indexOf(BLOCK_START);
  const end = text.indexOf(BLOCK_END);
  if (start === -1 || end < start) return text;
  return text.slice(0, start) + text.slice(end + BLOCK_END.length).replace(/^\n/, "");
}

/** The text with one marked block at its end, for those `needed` that the user's own lines do not set. */
export function withBlock(text, needed) {
  const own = withoutBlock(text);
  const set = parseDotenv(own);
  const lacking = Object.fromEntries(Object.entries(needed).filter(([name]) => !(name in set)));
  if (Object.keys(lacking).length === 0) return own;
  const separator = own === "" || own.endsWith("\n") ? "" : "\n";
  return `${own}${separator}${BLOCK_START}\n${formatDotenv(lacking)}${BLOCK_END}\n`;
}
