// Owns one module with the laws (tests/browser). While a law waits for the GPU, the module's stack is suspended (WebAssembly's JavaScript
// Promise Integration), so that the browser can work.
import init, { kernels, laws, places } from "./engine/laws.js";

let panic = "";
globalThis.panicked = (message) => (panic = message);
globalThis.let_the_browser_work = () => { throw new Error("this import is replaced below"); };

// Every pipeline by its entry point, and whatever the browser's compiler says about a shader.
const compiled = new Map(), complaints = [];
if (globalThis.GPUDevice) {
  const { createComputePipeline, createShaderModule } = GPUDevice.prototype;
  GPUDevice.prototype.createComputePipeline = function (described) {
    const { entryPoint } = described.compute;
    compiled.set(entryPoint, (compiled.get(entryPoint) ?? 0) + 1);
    return createComputePipeline.call(this, described);
  };
  GPUDevice.prototype.createShaderModule = function (described) {
    const module = createShaderModule.call(this, described);
    module.getCompilationInfo().then(({ messages }) => {
      for (const { type, message, lineNum } of messages) complaints.push(`${described.label}:${lineNum}: ${type}: ${message}`);
    });
    return module;
  };
}

// A law that waits sleeps until the GPU has answered. If it asked again and again meanwhile, it would take the processor from the GPU
// where that is a program.
const asked = new Set();
for (const [owner, name] of [["GPU", "requestAdapter"], ["GPUAdapter", "requestDevice"], ["GPUBuffer", "mapAsync"], ["GPUQueue", "onSubmittedWorkDone"]]) {
  const prototype = globalThis[owner]?.prototype, act = prototype?.[name];
  if (!act) continue;
  prototype[name] = function (...words) {
    const answer = act.apply(this, words), done = answer.then(() => {}, () => {});
    asked.add(done);
    done.then(() => asked.delete(done));
    return answer;
  };
}
const channel = new MessageChannel();
let go;
channel.port1.onmessage = () => go();
const turn = () => new Promise((done) => { go = done; channel.port2.postMessage(null); });
const breathe = async () => {
  if (asked.size) await Promise.race(asked);
  await turn();
};

const { instantiate } = WebAssembly;
WebAssembly.instantiate = (module, imports) => {
  for (const functions of Object.values(imports)) {
    for (const name of Object.keys(functions)) {
      if (name.includes("let_the_browser_work") || name.includes("letthebrowserwork")) functions[name] = new WebAssembly.Suspending(breathe);
    }
  }
  return instantiate.call(WebAssembly, module, imports);
};

const bytes = await (await fetch(new URL("./engine/laws_bg.wasm", import.meta.url))).arrayBuffer();
const module = await init({ module_or_path: await WebAssembly.compile(bytes) });
const run = WebAssembly.promising(module.run);

/** Runs a law. Returns what is wrong, or nothing, and whether the module has ended. */
async function test({ place, panics }) {
  panic = "";
  const start = performance.now();
  let wrong = null, ended = false;
  try {
    await run(place);
    if (panics !== null) wrong = `does not panic with: ${panics}`;
  } catch (error) {
    ended = true;
    const said = panic || String(error);
    if (panics === null || !said.includes(panics)) wrong = said;
  }
  return { wrong, ended, seconds: (performance.now() - start) / 1000 };
}

/** What was compiled since the last call. */
function news() {
  const news = { compiled: [...compiled], complaints: complaints.splice(0) };
  compiled.clear();
  return news;
}

onmessage = async ({ data }) => {
  if (data.ask === "end") return postMessage({ over: true, ...news() });
  const outcome = await test(data.law);
  postMessage({ ...outcome, ...news(), places: outcome.ended ? "" : places() });
};
const adapter = await navigator.gpu?.requestAdapter();
postMessage({ ready: true, laws: JSON.parse(laws()), kernels: kernels(), buffers: adapter?.limits.maxStorageBuffersPerShaderStage ?? 0 });
