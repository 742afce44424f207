// The Worker as it ships, in a world that makes its code panic. Rust panics where it is told to read more
// bytes than there can be, so here are bytes that lie about their length:
//
//   - an upstream's bytes in which PANIC stands, wherever they are read;
//   - a row that a statement of an account's object gives, after the statement did what it does:
//
//   POST /test/panic { "statement": "INSERT INTO journal", "times": 3 }
//                    the next so many statements that begin like this; answers how many were still to come
import { WorkerEntrypoint } from "cloudflare:workers";
import * as shipped from "./entry.js";

const MORE_THAN_THERE_CAN_BE = 2 ** 32 - 1;

let next = { statement: "", times: 0 };

export default class extends WorkerEntrypoint {
  worker = new shipped.default(this.ctx, this.env);

  async fetch(request) {
    if (new URL(request.url).pathname !== "/test/panic") return this.worker.fetch(request);
    const left = next.times;
    next = await request.json();
    return Response.json(left);
  }

  scheduled(event) {
    return this.worker.scheduled(event);
  }
}

export class Account extends shipped.Account {
  constructor(ctx, env) {
    const { sql } = ctx.storage;
    const exec = sql.exec.bind(sql);
    Object.defineProperty(ctx.storage, "sql", {
      value: { exec: (...statement) => panicking(exec(...statement), statement[0]) },
    });
    super(ctx, env);
  }
}

function panicking(cursor, text) {
  if (next.times === 0 || !text.startsWith(next.statement)) return cursor;
  next.times -= 1;
  return { raw: () => [[lying(new Uint8Array())]].values() };
}

/** Bytes whose length is a lie, from the first time that it is read or, if `honest` is 1, from the second. */
function lying(bytes, honest = 0) {
  let left = honest;
  const { length } = bytes;
  return Object.defineProperty(bytes, "length", { get: () => (left-- > 0 ? length : MORE_THAN_THERE_CAN_BE) });
}

const { read } = ReadableStreamDefaultReader.prototype;
ReadableStreamDefaultReader.prototype.read = async function () {
  const result = await read.call(this);
  const text = result.value instanceof Uint8Array ? new TextDecoder().decode(result.value) : "";
  // The Worker reads the length of a piece of a whole answer before it copies the piece: it panics at the copy.
  return text.includes("PANIC")
    ? { ...result, value: lying(result.value, text.includes("PANIC_LATER") ? 1 : 0) }
    : result;
};
