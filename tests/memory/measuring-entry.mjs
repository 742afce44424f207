// The Worker as it ships, and the size of its WebAssembly memory: GET /test/memory answers bytes.
import { WorkerEntrypoint } from "cloudflare:workers";

const RealInstance = WebAssembly.Instance;
let memory;
WebAssembly.Instance = function (...given) {
  const instance = new RealInstance(...given);
  memory = instance.exports.memory;
  return instance;
};
// Not a static import: those come before the lines above.
const shipped = await import("./entry.js");

export default class extends WorkerEntrypoint {
  worker = new shipped.default(this.ctx, this.env);

  async fetch(request) {
    if (new URL(request.url).pathname !== "/test/memory") return this.worker.fetch(request);
    return Response.json(memory.buffer.byteLength);
  }
}

export class Account extends shipped.Account {}
