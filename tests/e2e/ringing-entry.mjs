// The Worker as it ships, with accounts whose alarm a test can ring early: POST /test/ring { "name": … },
// the name of the account's object.
import { WorkerEntrypoint } from "cloudflare:workers";
import * as shipped from "./entry.js";

const RING = "http://account/test/ring";

export default class extends WorkerEntrypoint {
  worker = new shipped.default(this.ctx, this.env);

  async fetch(request) {
    if (new URL(request.url).pathname !== "/test/ring") return this.worker.fetch(request);
    const { name } = await request.json();
    return this.env.ACCOUNT.getByName(name).fetch(RING);
  }
}

export class Account extends shipped.Account {
  async fetch(request) {
    if (request.url !== RING) return super.fetch(request);
    await this.alarm();
    return new Response(null, { status: 204 });
  }
}
