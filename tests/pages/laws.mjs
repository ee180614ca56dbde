// Runs the laws of operations, layers and gradients in a browser: on WebGPU, and on the CPU with WebAssembly's vectors.
//
//   [LAWS=conv2d] node laws.mjs BROWSER LAWS_FOLDER        `web/build --laws` writes the folder; LAWS is a part of the names to run
//
// It prints how many laws hold where, and of which kernels the browser has compiled how many variants. Every kernel must be among them,
// and the browser's compiler may say nothing about any.
// A browser offers each kernel so many buffers, 10 where this was written; two kernels take more, and others do their work there.
import { serve, WEBGPU } from "./static.mjs";
import { check, deadline, end, launch, words } from "./visit.mjs";

/** Kernels that need more buffers than WebGPU guarantees, and how many. */
const BUFFERS = { gradient_squares_many: 25, optimizer_many: 28 };

const { words: [executable, folder] } = words(), only = process.env.LAWS ?? "";
deadline(10_800_000);
const server = await serve(folder, "/");
const browser = await launch(executable, WEBGPU), page = await browser.newPage();
page.on("pageerror", (error) => check(false, `the page says ${error.message}`));
await page.goto(`http://127.0.0.1:${server.address().port}/?workers=2&only=${encodeURIComponent(only)}`);
await page.waitForFunction(() => globalThis.done, null, { timeout: 0, polling: 1000 });
const { error, results, skipped, places, buffers, kernels, compiled, complaints, seconds } = await page.evaluate(() => globalThis.done);
check(!error, `the laws do not start: ${error}`);
if (!error) {
  for (const { name, wrong } of results) check(!wrong, `${name}: ${wrong}`);
  for (const complaint of complaints) check(false, `the browser's compiler: ${complaint}`);
  const variants = new Map(compiled), without = kernels.filter((kernel) => !variants.has(kernel));
  const large = Object.keys(BUFFERS).filter((kernel) => buffers < BUFFERS[kernel]);
  if (!only) check(without.every((kernel) => large.includes(kernel)), `no law has launched ${without}`);
  check([...variants.keys()].every((kernel) => kernels.includes(kernel)), `unknown kernels: ${[...variants.keys()]}`);
  console.log(`${results.length} laws in ${Math.round(seconds)} s: ${places}`);
  console.log(`${variants.size} of ${kernels.length} kernels, with how many variants of each: ${[...variants].sort().map((pair) => pair.join(" ")).join(", ")}`);
  console.log(`${skipped.length} laws cannot run in a browser: ${skipped.map(({ name, ignored }) => `${name} (${ignored})`).join(", ")}`);
  console.log(`the longest: ${results.toSorted((a, b) => b.seconds - a.seconds).slice(0, 8).map(({ name, seconds }) => `${name} ${seconds.toFixed(1)} s`).join(", ")}`);
}
await browser.close();
server.close();
end("the laws in a browser");
