// The JavaScript heap of the running Worker, by the protocol of its inspector.
// https://chromedevtools.github.io/devtools-protocol/v8/Runtime/#method-getHeapUsage

// A busy isolate answers between two tasks of its own; one that has gone never does.
const ANSWER_LIMIT_MS = 30_000;
const GROUP = "found";

/** A connection to the inspector of one Worker. */
export class Inspector {
  #socket;
  #waiting = new Map();
  #last = 0;
  /** The Worker's own, which the protocol calls no default. */
  #context;

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
      const { id, method, params, result, error } = JSON.parse(data);
      if (method === "Runtime.executionContextCreated") inspector.#context = params.context.id;
      const waiting = inspector.#waiting.get(id);
      if (error) waiting?.reject(new Error(error.message));
      else waiting?.resolve(result);
    });
    inspector.#socket.addEventListener("close", () => {
      for (const { reject } of inspector.#waiting.values())
        reject(new Error("the inspector has closed the connection"));
    });
    await inspector.#call("Runtime.enable");
    return inspector;
  }

  /** Sizes in bytes, as `Runtime.getHeapUsage` gives them. */
  heap() {
    return this.#call("Runtime.getHeapUsage");
  }

  /**
   * Collects all garbage. `HeapProfiler.collectGarbage` waits for a task of V8's that workerd never runs; to look for
   * the objects of a prototype, V8 collects first, and at once.
   */
  async collectGarbage() {
    const { result } = await this.#call("Runtime.evaluate", {
      contextId: this.#context,
      expression: "(class {}).prototype",
    });
    await this.#call("Runtime.queryObjects", { prototypeObjectId: result.objectId, objectGroup: GROUP });
    await this.#call("Runtime.releaseObject", { objectId: result.objectId });
    await this.#call("Runtime.releaseObjectGroup", { objectGroup: GROUP });
  }

  close() {
    this.#socket.close();
  }

  async #call(method, params) {
    const id = ++this.#last;
    let limit;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        limit = setTimeout(() => reject(new Error(`the inspector does not answer ${method}`)), ANSWER_LIMIT_MS);
        this.#socket.send(JSON.stringify({ id, method, params }));
      });
    } finally {
      clearTimeout(limit);
      this.#waiting.delete(id);
    }
  }
}
