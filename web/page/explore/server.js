"use strict";
// A static page has no server. A worker with the model answers what page.js asks, in the place of `fetch`.
{
  const { engine = "engine/", run = "" } = document.documentElement.dataset;
  const model = location.hash.slice(1); // of those that the training page has handed over
  const worker = new Worker(`worker.js?${new URLSearchParams({ engine, run, model })}`, { type: "module" });
  const waiting = new Map();
  let last = 0, failed = "";
  const end = (error) => {
    failed ||= error;
    for (const done of waiting.values()) done(new Response(failed, { status: 500 }));
    waiting.clear();
  };
  worker.addEventListener("message", ({ data: { id, body, error, fatal } }) => {
    if (fatal) return end(fatal);
    waiting.get(id)?.(error === undefined ? new Response(body) : new Response(error, { status: 400 }));
    waiting.delete(id);
  });
  worker.addEventListener("error", () => end("This browser cannot start the explorer's worker: it needs WebAssembly with SIMD and module workers."));
  globalThis.askWorker = async (path, { body } = {}) => {
    if (failed) return new Response(failed, { status: 500 });
    const bytes = body === undefined ? new Uint8Array() : new Uint8Array(await new Response(body).arrayBuffer());
    return new Promise((done) => {
      waiting.set(++last, done);
      worker.postMessage({ id: last, path, bytes });
    });
  };
}
