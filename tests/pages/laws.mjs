// Runs the laws of operations, layers and gradients in a browser: on WebGPU, and on the CPU with WebAssembly's vectors.
//
//   [LAWS=conv2d] node laws.mjs BROWSER LAWS_FOLDER        `web/build --laws` writes the folder; LAWS is a part of the names to run
//
// It prints each law with its time and the number of kernels that the browser has compiled for it, and in the end how many laws hold where,
// and of which kernels there are how many variants. Every kernel must be among them, and the browser's compiler may say nothing about any.
// A browser offers each kernel so many buffers, 10 where this was written; two kernels take more, and others do their work there.
import { serve, WEBGPU } from "./static.mjs";
import { check, deadline, end, launch, words } from "./visit.mjs";

/** Kernels that need more buffers than WebGPU guarantees, and how many. */
const BUFFERS = { gradient_squares_many: 25, optimizer_many: 28 };

const LIMIT = 900; // seconds for a law; the longest take about a minute on an idle machine

const { words: [executable, folder] } = words(), only = process.env.LAWS ?? "";
deadline(3_600_000);
const server = await serve(folder, "/");
const browser = await launch(executable, WEBGPU), page = await browser.newPage();
page.on("pageerror", (error) => check(false, `the page says ${error.message}`));
await page.goto(`http://127.0.0.1:${server.address().port}/?workers=2&limit=${LIMIT}&only=${encodeURIComponent(only)}`);
if (!(await page.evaluate(() => "Suspending" in WebAssembly))) {
  console.log("this browser has no JavaScript Promise Integration (Chromium 137 or later has it): the laws in a browser were not checked");
  process.exit(process.env.CI === "true" ? 1 : 0);
}
for (let told = 0, over = false; !over;) {
  await page.waitForTimeout(1000);
  let news;
  [news, over] = await page.evaluate((told) => [(globalThis.results ?? []).slice(told), Boolean(globalThis.done)], told);
  told += news.length;
  for (const { name, wrong, seconds, compiled } of news) console.log(`${seconds.toFixed(1).padStart(6)} s  ${name}${compiled ? `, ${compiled} compiled` : ""}${wrong ? `: ${wrong}` : ""}`);
}
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
