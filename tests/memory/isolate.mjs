// What an isolate holds of its 128 MB: a gateway whose memory can be read, and the reading.
import path from "node:path";
import { Inspector } from "./inspector.mjs";

export const MB = 1 << 20;
/** Cloudflare ends an isolate that has more. */
export const ISOLATE_MB = 128;

/** Options of `startGateway` and `startPaid` for a gateway that can be measured. */
export const MEASURED = { entry: path.join(import.meta.dirname, "measuring-entry.mjs"), inspect: true };

/** A meter of a gateway that was started with `MEASURED`. */
export async function meterOf(gateway) {
  const inspector = await Inspector.connect(gateway.inspectorUrl);
  return {
    inspector,

    /** In MB: the WebAssembly memory, and the JavaScript heap with the buffers behind it. */
    async read() {
      const wasm = Number(await (await gateway.fetch("/test/memory")).text());
      const { usedSize, backingStorageSize = 0 } = await inspector.heap();
      return { wasm: wasm / MB, heap: (usedSize + Math.max(0, backingStorageSize - wasm)) / MB };
    },

    /** The most that the isolate holds while `work` runs, in MB; garbage is collected before each reading. */
    async mostDuring(work) {
      let running = true;
      const ended = work().finally(() => (running = false));
      let most = { sum: 0 };
      const read = async () => {
        await inspector.collectGarbage();
        const { wasm, heap } = await this.read();
        if (wasm + heap > most.sum) most = { wasm, heap, sum: wasm + heap };
      };
      while (running) {
        await read();
        await Promise.race([ended.catch(() => {}), new Promise((resolve) => setTimeout(resolve, 100))]);
      }
      await read();
      return { most, result: await ended };
    },

    close: () => inspector.close(),
  };
}
