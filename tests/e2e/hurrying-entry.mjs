// The Worker as it ships, in a world whose time goes faster when a test says so:
//
//   POST /test/time { "speed": 20 }
//
// From then on the clock of the Worker and its objects runs, and their timers end, so many times as fast.
import { WorkerEntrypoint } from "cloudflare:workers";
import * as shipped from "./entry.js";

const RealDate = Date;
const realSetTimeout = globalThis.setTimeout;
const time = { speed: 1, real: RealDate.now(), shown: RealDate.now() };

const now = () => time.shown + Math.round((RealDate.now() - time.real) * time.speed);

globalThis.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length > 0 ? given : [now()]));
  }
  static now = now;
};
globalThis.setTimeout = (callback, ms = 0, ...rest) => realSetTimeout(callback, ms / time.speed, ...rest);

export default class extends WorkerEntrypoint {
  worker = new shipped.default(this.ctx, this.env);

  async fetch(request) {
    if (new URL(request.url).pathname !== "/test/time") return this.worker.fetch(request);
    const { speed } = await request.json();
    Object.assign(time, { shown: now(), real: RealDate.now(), speed });
    return new Response(null, { status: 204 });
  }

  scheduled(event) {
    return this.worker.scheduled(event);
  }
}

export class Account extends shipped.Account {}
