// Writes the tables of crates/dialect/src/tokens/common: which letters, symbols and characters most vocabularies have
// together in a token. `node tests/token-figures/tables.mjs` runs it after `npm run token-figures` has installed them.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { tokens } from "./vocabularies.mjs";

const NAMES = ["o200k", "gemma3", "qwen3", "llama3", "deepseek_v3", "mistral_nemo", "command_r_plus"];
const FOLDER = path.join(import.meta.dirname, "../../crates/dialect/src/tokens/common");
// A triple of letters is common when so many tokens of the middle vocabulary have it.
const LEAST_TOKENS = 12;
// Greek, Cyrillic, Hebrew, Arabic, Devanagari and Thai.
const BLOCKS = [0x380, 0x400, 0x580, 0x600, 0x900, 0xe00];
const FIRST_CHARACTER = 0x4e00;
const BEHIND_CHARACTERS = 0xd7b0;

const bump = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
const triples = new Map();
const pairs = new Map();
const characters = new Map();
const symbols = new Map();
for (const name of NAMES) {
  const own = new Map();
  const ownPairs = new Set();
  for (const bytes of tokens(name)) {
    const token = bytes.toString("utf8");
    if (token.includes("\ufffd")) continue;
    if ([...token].length === 1) bump(characters, token);
    if (/^[!-/:-@[-`{-~]{2}$/.test(token)) bump(symbols, token);
    const word = token.replace(/^ /, "");
    if (/^[a-z]{1,16}$/i.test(word)) {
      const codes = [0, 0, ...[...word.toLowerCase()].map((letter) => letter.charCodeAt(0) & 31)];
      for (let at = 2; at < codes.length; at++) bump(own, (codes[at - 2] << 10) | (codes[at - 1] << 5) | codes[at]);
    }
    const letters = [...word];
    for (let at = 1; at < letters.length; at++) ownPairs.add(letters[at - 1] + letters[at]);
  }
  for (const [triple, count] of own) triples.set(triple, [...(triples.get(triple) ?? []), count]);
  for (const pair of ownPairs) bump(pairs, pair);
}

const table = (bits) => {
  const bytes = new Uint8Array(Math.ceil(bits / 8));
  return { bytes, set: (place) => (bytes[place >> 3] |= 1 << (place & 7)) };
};
const letters = table(1 << 15);
for (const [triple, counts] of triples) {
  const middle = counts.sort((a, b) => a - b)[Math.floor(counts.length / 2)];
  if (counts.length >= NAMES.length - 1 && middle >= LEAST_TOKENS) letters.set(triple);
}
const symbolPairs = table(1 << 14);
for (const [pair, count] of symbols) {
  if (count >= NAMES.length - 1) symbolPairs.set((pair.charCodeAt(0) << 7) | pair.charCodeAt(1));
}
const letterPairs = table(BLOCKS.length << 14);
for (const [pair, count] of pairs) {
  const [first, second] = [...pair].map((letter) => letter.codePointAt(0));
  const block = BLOCKS.findIndex(
    (base) => first >= base && first < base + 128 && second >= base && second < base + 128,
  );
  if (block >= 0 && count >= 3) letterPairs.set((block << 14) | ((first & 127) << 7) | (second & 127));
}
const whole = table(BEHIND_CHARACTERS - FIRST_CHARACTER);
for (const [character, count] of characters) {
  const place = character.codePointAt(0) - FIRST_CHARACTER;
  if (place >= 0 && place < BEHIND_CHARACTERS - FIRST_CHARACTER && count >= NAMES.length - 2) whole.set(place);
}
mkdirSync(FOLDER, { recursive: true });
for (const [name, { bytes }] of Object.entries({
  letters,
  symbols: symbolPairs,
  pairs: letterPairs,
  characters: whole,
})) {
  writeFileSync(path.join(FOLDER, `${name}.bin`), bytes);
}
