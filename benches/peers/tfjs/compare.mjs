// Times the page's engine and TensorFlow.js in turn in one browser: [MODEL=basic] [DEVICE=CPU] [MINUTES=5] node compare.mjs BROWSER WEB_DIST ROUNDS SECONDS
// Each of the two may take MINUTES for a round, warm-up and compilation of shaders included.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const { chromium } = createRequire(join(here, "../../../tests/pages/check.mjs"))("playwright-core");
const [executablePath, dist, rounds, seconds] = process.argv.slice(2);
const minutes = Number(process.env.MINUTES ?? 5);
const packages = join(here, "node_modules/@tensorflow");
const FILES = {
  "/tf.js": `${packages}/tfjs/dist/tf.min.js`,
  "/webgpu.js": `${packages}/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js`,
  "/wasm.js": `${packages}/tfjs-backend-wasm/dist/tf-backend-wasm.min.js`,
  "/peer.js": join(here, "peer.js"),
};
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };
const PAGE = `<!doctype html><script src="tf.js"></script><script src="webgpu.js"></script><script src="wasm.js"></script><script src="peer.js"></script>`;
const server = createServer(async ({ url }, response) => {
  const file = FILES[url] ?? (url.startsWith("/wasm/") ? `${packages}/tfjs-backend-wasm/dist/${url.slice(6)}` : join(dist, url));
  const body = url === "/page" ? PAGE : url === "/blank" ? "<!doctype html>" : await readFile(file).catch(() => null);
  const type = ["/page", "/blank"].includes(url) ? "text/html" : (TYPES[extname(url)] ?? "application/octet-stream");
  response.writeHead(body === null ? 404 : 200, { "content-type": type }).end(body);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const base = `http://127.0.0.1:${server.address().port}`;

const SETTINGS = {
  basic: ["model.kind=basic", "model.widths=8,16"],
  dense: ["model.kind=dense", "model.hidden=128"],
  quickstart: ["model.kind=resnet18", "model.width=16", "model.z_dim=16", "data.image_size=32", "train.learning_rate=0.001"], // our recipe
};
const COMMON = ["model.z_dim=2", "data.image_size=28", "loss.reconstruction=bce", "model.output=sigmoid", "train.learning_rate=0.002"];

/** The engine in its worker, as the page uses it, without frames. */
async function ours(page, device, model) {
  await page.goto(`${base}/blank`);
  return page.evaluate(async ([settings, device, seconds]) => {
    const worker = new Worker("./worker.js", { type: "module" }), waiting = new Map();
    let last = 0, frame;
    worker.onmessage = ({ data }) => {
      if (data.event === "frame") frame = data;
      if (data.event === "compiling") globalThis.progress = `${data.done} of ${data.total} kernels are compiled`;
      if (data.event === "failed") for (const [, refuse] of waiting.values()) refuse(new Error(data.error));
      const [done, refuse] = waiting.get(data.id) ?? [];
      if (data.error !== undefined && refuse) refuse(new Error(data.error));
      else done?.(data.answer);
    };
    const ask = (name, more = {}) => new Promise((done, refuse) => {
      waiting.set(++last, [done, refuse]);
      worker.postMessage({ id: last, ask: name, ...more });
    });
    const { parameters } = await ask("start", { settings, device });
    globalThis.progress = "no step is done";
    await ask("run", { on: true });
    await new Promise((done) => setTimeout(done, 1000)); // warm-up
    await ask("watch", { every: 1e6 });
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    await ask("watch", { every: 1e6 });
    const { steps_per_second: stepsPerSecond } = frame;
    worker.terminate();
    return { parameters, stepsPerSecond };
  }, [[...COMMON, ...SETTINGS[model]], device, Number(seconds)]);
}

async function theirs(page, backend, model) {
  await page.goto(`${base}/page`);
  return page.evaluate(([backend, model, seconds]) => globalThis.run(backend, model, seconds), [backend, model, Number(seconds)]);
}

const args = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-unsafe-swiftshader"];
const browser = await chromium.launch({ executablePath, args });
const CASES = [
  ["basic", "CPU", (page) => ours(page, "cpu", "basic"), (page) => theirs(page, "wasm", "basic")],
  ["dense", "CPU", (page) => ours(page, "cpu", "dense"), (page) => theirs(page, "wasm", "dense")],
  ["dense", "CPU (their JavaScript backend)", (page) => ours(page, "cpu", "dense"), (page) => theirs(page, "cpu", "dense")],
  ["basic", "WebGPU", (page) => ours(page, "webgpu", "basic"), (page) => theirs(page, "webgpu", "basic")],
  ["dense", "WebGPU", (page) => ours(page, "webgpu", "dense"), (page) => theirs(page, "webgpu", "dense")],
  ["quickstart", "CPU", (page) => ours(page, "cpu", "quickstart"), (page) => theirs(page, "wasm", "quickstart")],
  ["quickstart", "CPU (their JavaScript backend)", (page) => ours(page, "cpu", "quickstart"), (page) => theirs(page, "cpu", "quickstart")],
  ["quickstart", "WebGPU", (page) => ours(page, "webgpu", "quickstart"), (page) => theirs(page, "webgpu", "quickstart")],
].filter(([model, device]) => model.startsWith(process.env.MODEL ?? "") && device.startsWith(process.env.DEVICE ?? ""));
const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
console.log("| model | device | parameters | here, steps/s | TensorFlow.js, steps/s | ratio of times |\n|---|---|---|---|---|---|");
for (const [model, device, here, there] of CASES) {
  const found = [[], []];
  let parameters = [0, 0], said = "";
  for (let round = 0; round < Number(rounds); round++) {
    for (const [side, run] of [here, there].entries()) {
      const page = await browser.newPage();
      try {
        const result = await Promise.race([run(page), new Promise((_, refuse) => setTimeout(() => refuse(new Error(`takes longer than ${minutes} minutes`)), 60_000 * minutes).unref())]);
        parameters[side] = result.parameters;
        found[side].push(result.stepsPerSecond);
      } catch (error) {
        const reached = await page.evaluate(() => globalThis.progress).catch(() => undefined);
        said = [error.message.split("\n")[0], reached].filter(Boolean).join(": ");
      }
      await page.close();
    }
  }
  const [a, b] = found.map((numbers) => (numbers.length ? median(numbers) : NaN));
  const number = (x) => (Number.isNaN(x) ? "–" : x < 1 ? x.toPrecision(2) : x.toFixed(1));
  if (parameters[0] !== parameters[1] && found[1].length) said += ` other parameters: ${parameters[1]}`;
  console.log(`| ${model} | ${device} | ${parameters[0]} | ${number(a)} | ${number(b)} | ${number(a && b ? b / a : NaN)} | ${said}`);
}
await browser.close();
server.close();
