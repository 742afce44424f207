// The JavaScript heap of the running Worker, by the protocol of its inspector.
// https://chromedevtools.github.io/devtools-protocol/v8/Runtime/#method-getHeapUsage

// A busy isolate answers between two tasks of its own; one that has gone never does.
const ANSWER_LIMIT_MS = 30_000;

/** A connection to the inspector of one Worker. */
export class Inspector {
  #socket;
  #waiting = new Map();
  #last = 0;

  /** Connects to the Worker of a Miniflare whose inspector is at `url`. */
  static async connect(url) {
    const targets = await (await fetch(`http://${new URL(url).host}/json`)).json();
    const inspector = new Inspector();
    inspector.#socket = new WebSocket(targets[0].webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      inspector.#socket.addEventListener("open", resolve, { once: true });
      inspector.#socket.addEventListener("error", reject, { once: true });
    });
    inspector.#socket.addEventListener("message", ({ data }) => {
      const { id, result, error } = JSON.parse(data);
      const waiting = inspector.#waiting.get(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    });
    inspector.#socket.addEventListener("close", () => {
      for (const { reject } of inspector.#waiting.values()) reject(new Error("the inspector has closed the connection"));
    });
    return inspector;
  }

  /** Sizes in bytes, as `Runtime.getHeapUsage` gives them. */
  heap() {
    return this.#call("Runtime.getHeapUsage");
  }

  collectGarbage() {
    return this.#call("HeapProfiler.collectGarbage");
  }

  close() {
    this.#socket.close();
  }

  async #call(method) {
    const id = ++this.#last;
    let limit;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        limit = setTimeout(() => reject(new Error(`the inspector does not answer ${method}`)), ANSWER_LIMIT_MS);
        this.#socket.send(JSON.stringify({ id, method }));
      });
    } finally {
      clearTimeout(limit);
      this.#waiting.delete(id);
    }
  }
}
