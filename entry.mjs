// Wrangler's entry: what worker-build made, with the Durable Object inside a class that derives from
// `DurableObject`. Without that workerd refuses RPC to the object and a test harness cannot read its
// storage.
import { DurableObject } from "cloudflare:workers";
import * as worker from "./build/index.js";

/** A `DurableObject` that hands every call to the Rust class. */
function durable(Inner) {
  const inner = Symbol("inner");
  class Outer extends DurableObject {
    constructor(ctx, env) {
      super(ctx, env);
      this[inner] = new Inner(ctx, env);
    }
  }
  for (const name of Object.getOwnPropertyNames(Inner.prototype)) {
    if (name === "constructor" || name === "free" || name.startsWith("__")) continue;
    Outer.prototype[name] = function (...args) {
      return this[inner][name](...args);
    };
  }
  return Outer;
}

export const Account = durable(worker.Account);
export { default } from "./build/index.js";
