// One worker and the questions to it, see protocol.md. A worker that fails, or that never starts, ends as one `failed` event with
// one line, whatever the cause.

const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]);

/** What this browser lacks for the page, in one line; null if it lacks nothing. */
export function lacks() {
  if (!globalThis.Worker) return "This browser has no web workers, in which the model would train.";
  if (!globalThis.WebAssembly) return "This browser does not run WebAssembly, which the model is compiled to. Some browsers switch it off in a “strict” or “lockdown” mode.";
  if (!WebAssembly.validate(SIMD)) return "This browser runs WebAssembly without SIMD instructions, which the model needs. Chrome 91, Firefox 89, Safari 16.4 and later have them.";
  return null;
}

export class Client {
  #worker;
  #next = 1;
  #waiting = new Map();
  #listen;
  #ended = false;

  /** Starts a worker. `listen(event)` gets its events. */
  constructor(listen) {
    this.#listen = listen;
    // A browser without module workers does not look at the type, and would run the file as a plain script.
    let asked = false;
    const options = { get type() { asked = true; return "module"; } };
    this.#worker = new Worker(new URL("worker.js", import.meta.url), options);
    if (!asked) setTimeout(() => this.#fail("This browser has no module workers, in which the model would train. Chrome 80, Firefox 114, Safari 15 and later have them."));
    this.#worker.addEventListener("message", ({ data }) => this.#take(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(event.message ? `The worker stopped: ${event.message}` : "The worker did not start. Its file, or that of the engine, could not be loaded.");
    });
    this.#worker.addEventListener("messageerror", () => this.#fail("A message of the worker could not be read."));
  }

  /** Asks the worker. The promise is refused with its error of one line. */
  ask(name, details = {}, transfer = []) {
    if (this.#ended) return Promise.reject(new Error("The worker has ended."));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ask: name, ...details }, transfer);
    });
  }

  /** Ends the worker at once. Questions under way are refused. */
  end() {
    this.#ended = true;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error("The worker has ended."));
    this.#waiting.clear();
  }

  #take(message) {
    if (this.#ended) return;
    if (message.event === "failed") this.#fail(message.error);
    else if (message.event) this.#listen(message);
    else {
      const { resolve, reject } = this.#waiting.get(message.id) ?? {};
      this.#waiting.delete(message.id);
      if (message.error !== undefined) reject?.(new Error(message.error));
      else resolve?.(message.answer);
    }
  }

  #fail(error) {
    if (this.#ended) return;
    this.end();
    this.#listen({ event: "failed", error });
  }
}
