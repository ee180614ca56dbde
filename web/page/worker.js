// The worker: it owns one model and answers the page's messages (protocol.md). Between two messages it trains, if it is running.
import init, { Engine, adapter } from "./engine/web.js";
import { nudge } from "./nudge.js";

const SLICE = 60; // the longest training between two looks at the messages, in milliseconds

let engine = null; // the model
let device = null; // which device computes, and why
let running = false;
let every = 250; // milliseconds between two frames
let next = 0; // when the next frame is due
let panic = ""; // the message of a panic, which ends the module
const waiting = []; // messages that are not answered yet
const ready = init({ module_or_path: new URL("./engine/web_bg.wasm", import.meta.url) });

globalThis.panicked = (message) => (panic = message);
nudge();

/** Lets the browser deliver messages. A timer would wait for at least 4 ms. */
const breathe = (() => {
  const channel = new MessageChannel();
  let go;
  channel.port1.onmessage = () => go();
  return () => new Promise((done) => { go = done; channel.port2.postMessage(null); });
})();

const words = (error) => panic || (error instanceof Error ? error.message : String(error));

/** Chooses the device. Returns whether it is WebGPU, and a sentence that says why. */
async function choose(wanted) {
  if (wanted === "cpu") return [false, "The CPU was chosen."];
  if (!("gpu" in navigator)) {
    const why = isSecureContext ? "This browser has no WebGPU." : "Browsers offer WebGPU only to pages from https or from this computer.";
    if (wanted === "webgpu") throw new Error(`${why} Choose the CPU.`);
    return [false, why];
  }
  const found = await adapter();
  if (found.lacks) {
    if (wanted === "webgpu") throw new Error(`WebGPU: ${found.lacks}. Choose the CPU.`);
    return [false, `WebGPU: ${found.lacks}.`];
  }
  if (wanted === "webgpu") return [true, "WebGPU was chosen."];
  if (found.software) return [false, "The browser's WebGPU is a program on the CPU, which is slower than this page's own CPU code."];
  return [true, "This browser has a GPU."];
}

/** Describes the model and its device. */
function about() {
  const all = engine.about();
  return { ...all, device: { ...all.device, note: device } };
}

async function start(request) {
  running = false;
  const [webgpu, why] = await choose(request.device ?? "auto");
  let started, note = why; // a start that fails leaves the model that there was
  try {
    started = await Engine.start(request, webgpu, (done, total) => postMessage({ event: "compiling", done, total }));
  } catch (error) {
    if (!webgpu || request.device === "webgpu" || panic) throw error;
    note = `WebGPU failed (${words(error)}), so the CPU computes.`;
    started = await Engine.start(request, false, () => {});
  }
  engine?.destroy_device(); // otherwise its buffers stay in the GPU's memory until the browser collects garbage
  engine?.free();
  [engine, device] = [started, note];
  return about();
}

/** Sends a frame. On a slow GPU a frame costs more than a step: frames take at most a third of the time, so that training goes on. */
async function frame() {
  const begun = performance.now();
  postMessage({ event: "frame", ...(await engine.frame()) });
  next = begun + Math.max(every, 3 * (performance.now() - begun));
}

const answers = {
  start,
  run: ({ on }) => { running = on; return {}; },
  watch: async (request) => {
    every = request.every ?? every;
    engine.watch(request);
    await frame();
    return {};
  },
  step: async () => {
    if (running) throw new Error("pause the training before you follow a single step");
    const followed = await engine.follow();
    await frame();
    return followed;
  },
  change: ({ settings }) => { engine.change(settings); return about(); },
  encode: ({ pixels, label }) => engine.encode(pixels, label ?? 0),
  decode: async ({ z, label }) => ({ pixels: await engine.decode(z, label ?? 0) }),
  picture: ({ place }) => engine.picture(place),
  validate: () => engine.validate(),
  save: async () => ({ bytes: await engine.save(), name: "vae.safetensors" }),
  lose: () => { engine.destroy_device(); return {}; }, // as if the GPU had failed: for tests
};

async function answer({ id, ask, ...request }) {
  try {
    if (!answers[ask]) throw new Error(`there is no request ${ask}`);
    if (!engine && ask !== "start") throw new Error("no model was started");
    postMessage({ id, answer: await answers[ask](request) });
  } catch (error) {
    postMessage({ id, error: words(error) });
    if (panic) fail(error);
  }
}

function fail(error) {
  running = false;
  postMessage({ event: "failed", error: words(error) });
}

async function work() {
  try {
    await engine.train(Math.min(SLICE, Math.max(1, next - performance.now())));
    if (performance.now() >= next) await frame();
  } catch (error) {
    fail(error);
  }
}

let busy = false;
async function pump() {
  if (busy) return;
  busy = true;
  await ready;
  while (waiting.length || running) {
    if (waiting.length) await answer(waiting.shift());
    else await work();
    await breathe();
  }
  busy = false;
}

onmessage = ({ data }) => {
  waiting.push(data);
  pump();
};
ready.catch((error) => fail(new Error(`the engine does not start: ${error.message}`)));
