// The real vocabularies: how many tokens each makes of a text, and every token that it has.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const MODULES = path.join(import.meta.dirname, "node_modules");

/** By name: the family of the catalogue that is fitted to it; `unknown` where none is. */
export const VOCABULARIES = {
  o200k: "common",
  cl100k: "cl100k",
  gemma3: "single_digit",
  qwen3: "qwen",
  llama3: "llama",
  deepseek_v3: "deepseek",
  mistral_nemo: "mistral",
  command_r_plus: "command",
  claude: "unknown",
};

const isTiktoken = (name) => name === "o200k" || name === "cl100k";
const file = (name, which) => path.join(MODULES, `@lenml/tokenizer-${name}/models/${which}.json`);
const json = (name, which) => JSON.parse(readFileSync(file(name, which), "utf8"));

/** A function from a text to its number of tokens. */
export function counter(name) {
  if (isTiktoken(name)) {
    const { encode } = require(`gpt-tokenizer/encoding/${name}_base`);
    return (text) => encode(text, { disallowedSpecial: new Set() }).length;
  }
  const { TokenizerLoader } = require("@lenml/tokenizers");
  const tokenizer = TokenizerLoader.fromPreTrained({
    tokenizerJSON: json(name, "tokenizer"),
    tokenizerConfig: json(name, "tokenizer_config"),
  });
  return (text) => tokenizer.encode(text, { add_special_tokens: false }).length;
}

/** Every token that plain text can become, as bytes. Control tokens are left out: no text becomes one. */
export function tokens(name) {
  if (isTiktoken(name)) {
    const lines = readFileSync(path.join(MODULES, `gpt-tokenizer/data/${name}_base.tiktoken`), "utf8")
      .trim()
      .split("\n");
    return lines.map((line) => Buffer.from(line.split(" ")[0], "base64"));
  }
  const { model, added_tokens: added } = json(name, "tokenizer");
  const control = new Set(added.filter((token) => token.special).map((token) => token.content));
  const plain = Object.keys(model.vocab).filter(
    (token) => !control.has(token) && !/^(<unused\d+>|\[multimodal\])$/.test(token),
  );
  return plain.map(model.byte_fallback ? sentencePiece : byteLevel);
}

function sentencePiece(token) {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
  return byte ? Buffer.from([Number.parseInt(byte[1], 16)]) : Buffer.from(token.replaceAll("▁", " "));
}

// GPT-2's way to write every byte as a printable character.
const BYTES = (() => {
  const printable = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const bytes = new Map();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) bytes.set(String.fromCharCode(printable(byte) ? byte : next++), byte);
  return bytes;
})();

function byteLevel(token) {
  const bytes = [...token].map((character) => BYTES.get(character));
  return bytes.includes(undefined) ? Buffer.from(token) : Buffer.from(bytes);
}
