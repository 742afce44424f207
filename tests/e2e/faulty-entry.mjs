// The Worker as it ships, in a world that fails when a test says so and that counts what it is asked
// for. Calls to account objects are lost on the way there or on the way back, D1 is down for the
// objects, the clock jumps, and an object is asked the same thing again by a caller that has gone mad:
//
//   POST /test/world { "lose": { "command": "settle", "way": "there" or "back", "times": 3 }, "d1_down": true }
//   POST /test/world { "worker_d1_down": true }
//                    the Worker's own D1 is down, that of its objects is not
//   POST /test/world { "ahead_ms": 61000 }
//                    the clock of the Worker and its objects
//   POST /test/world { "repeat": { "command": "admit", "times": 1000 } }
//                    the last such call, all at once; answers { "statuses": { "200": 300, "503": 700 } }
//   GET  /test/world { "calls": { "admit": 2, "settle": 1, "journal": 1 }, "d1_refused": 4,
//                      "rows": { "INSERT INTO journal": 1 }, "alarms": 1, "d1_rows": 1 }
//                    calls to objects; rows that workerd says their statements wrote, `setAlarm` calls,
//                    and rows that D1 says its batches wrote
import { WorkerEntrypoint } from "cloudflare:workers";
import * as shipped from "./entry.js";

const world = {
  lose: { times: 0 },
  d1Down: false,
  workerD1Down: false,
  aheadMs: 0,
  last: {},
  calls: {},
  d1Refused: 0,
  cursors: [],
  alarms: 0,
  d1Rows: 0,
};

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length > 0 ? given : [RealDate.now() + world.aheadMs]));
  }
};

export default class extends WorkerEntrypoint {
  worker = new shipped.default(this.ctx, {
    ...this.env,
    ACCOUNT: lossy(this.env.ACCOUNT),
    DB: overridden(this.env.DB, { prepare }),
  });

  async fetch(request) {
    if (new URL(request.url).pathname !== "/test/world") return this.worker.fetch(request);
    if (request.method !== "POST") return Response.json(counted());
    const asked = await request.json();
    const {
      lose = { times: 0 },
      d1_down: d1Down = false,
      worker_d1_down: workerD1Down = false,
      ahead_ms: aheadMs = 0,
      repeat,
    } = asked;
    Object.assign(world, { lose, d1Down, workerD1Down, aheadMs });
    return Response.json(repeat ? await repeated(this.env.ACCOUNT, repeat) : {});
  }

  scheduled(event) {
    return this.worker.scheduled(event);
  }
}

/** Its D1 may be down for the batches that carry the journal; the Worker's own D1 may not. */
export class Account extends shipped.Account {
  constructor(ctx, env) {
    const { storage } = ctx;
    const setAlarm = storage.setAlarm.bind(storage);
    Object.defineProperties(storage, {
      sql: { value: overridden(storage.sql, { exec }) },
      setAlarm: { value: (...when) => ((world.alarms += 1), setAlarm(...when)) },
    });
    super(ctx, { ...env, DB: overridden(env.DB, { batch }) });
  }
}

function counted() {
  const rows = {};
  for (const [statement, cursor] of world.cursors) {
    if (cursor.rowsWritten > 0) rows[statement] = (rows[statement] ?? 0) + cursor.rowsWritten;
  }
  return { calls: world.calls, d1_refused: world.d1Refused, rows, alarms: world.alarms, d1_rows: world.d1Rows };
}

function exec(sql, text, ...params) {
  const cursor = sql.exec(text, ...params);
  const [statement] = text.match(/^(INSERT INTO|UPDATE|DELETE FROM|[A-Z]+)( [a-z_]+)?/) ?? [text];
  world.cursors.push([statement, cursor]);
  return cursor;
}

function prepare(db, sql) {
  if (world.workerD1Down) throw new Error("D1_ERROR: Network connection lost.");
  return db.prepare(sql);
}

async function batch(db, statements) {
  if (world.d1Down) {
    world.d1Refused += 1;
    throw new Error("D1_ERROR: Network connection lost.");
  }
  const results = await db.batch(statements);
  for (const { meta } of results) world.d1Rows += meta.rows_written;
  return results;
}

/** A namespace whose objects cannot always be reached. */
function lossy(namespace) {
  const getByName = (_, name) => {
    const fetch = (stub, request) => lossyFetch(stub, request, name);
    return overridden(namespace.getByName(name), { fetch });
  };
  return overridden(namespace, { getByName });
}

async function lossyFetch(stub, request, name) {
  const body = await request.clone().text();
  const { v, ...ask } = JSON.parse(body);
  const [[kind, asked]] = Object.entries(ask);
  const command = kind !== "command" ? kind : typeof asked === "object" ? Object.keys(asked)[0] : asked;
  world.calls[command] = (world.calls[command] ?? 0) + 1;
  world.last[command] = { name, body };
  const lost = world.lose.times > 0 && world.lose.command === command;
  if (!lost) return stub.fetch(request);
  world.lose.times -= 1;
  if (world.lose.way === "back") await (await stub.fetch(request)).text();
  throw new Error("Network connection lost.");
}

async function repeated(namespace, { command, times }) {
  const { name, body } = world.last[command];
  const stub = namespace.getByName(name);
  const statuses = {};
  const call = async () => {
    const response = await stub.fetch("http://account/", { method: "POST", body });
    await response.text();
    statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  };
  await Promise.all(Array.from({ length: times }, call));
  return { statuses };
}

/** `target` with some methods replaced; each gets the target first. */
function overridden(target, methods) {
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(methods, name)) return (...args) => methods[name](target, ...args);
      const value = Reflect.get(target, name);
      return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
    },
  });
}
