// Embeddings of the right shape without any meaning. The same input always gives the same unit vector.
import { createHash } from "node:crypto";
import { BadRequest } from "./errors.mjs";
import { pieces, sum } from "./tokens.mjs";

const DIMENSIONS = 1536;
const MAX_DIMENSIONS = 4096;
const MAX_INPUTS = 2048; // OpenAI's own

/** Answers POST /v1/embeddings. */
export function embeddings({ model, input, encoding_format: format = "float", dimensions = DIMENSIONS }) {
  if (!["float", "base64"].includes(format))
    throw new BadRequest(400, "encoding_format is float or base64.", "invalid_value", "encoding_format");
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw new BadRequest(
      400,
      `dimensions is a whole number from 1 to ${MAX_DIMENSIONS}.`,
      "invalid_value",
      "dimensions",
    );
  }
  const inputs = inputsOf(input);
  const data = inputs.map((one, index) => {
    const vector = unitVector(JSON.stringify(one), dimensions);
    return { object: "embedding", index, embedding: format === "base64" ? base64(vector) : vector };
  });
  const tokens = sum(inputs.map((one) => (typeof one === "string" ? pieces(one).length : one.length)));
  return { object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** Returns a list of inputs from a string, a list of strings, a list of tokens, or a list of lists of tokens. */
function inputsOf(input) {
  const isTokens = (value) => Array.isArray(value) && value.length > 0 && value.every(Number.isInteger);
  const inputs = typeof input === "string" || isTokens(input) ? [input] : input;
  const valid =
    Array.isArray(inputs) && inputs.every((one) => (typeof one === "string" && one !== "") || isTokens(one));
  if (!valid || inputs.length === 0 || inputs.length > MAX_INPUTS) {
    throw new BadRequest(
      400,
      `input is a string, an array of tokens, or an array of up to ${MAX_INPUTS} of either.`,
      "invalid_value",
      "input",
    );
  }
  return inputs;
}

function unitVector(seed, dimensions) {
  let state = createHash("sha256").update(seed).digest().readUInt32LE() || 1;
  const raw = Array.from({ length: dimensions }, () => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 31;
  });
  const length = Math.hypot(...raw);
  return raw.map((value) => Math.fround(value / length));
}

/** Encodes numbers as little-endian 32-bit floats, which both OpenAI SDKs decode. */
function base64(vector) {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString("base64");
}
