// Uses the page that trains a VAE in a browser, on both devices. web/build writes its folder.
//
//   [WEB_SECONDS=300] [WEB_ONLY=map] [VAE=FILE] [RUN=FOLDER] node web.mjs BROWSER WEB_DIST [--shots FOLDER]
//
// VAE is the program `vae`, which then reads the weights that the page saves. RUN is a run of `vae train`, which the page then loads.
// WEB_SECONDS is how long the memory is watched, WEB_ONLY a pattern of the visits to make. The folder is served below a sub-folder, as GitHub Pages does, without special headers.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { WEBGPU, serve } from "./static.mjs";
import { audit, check, deadline, end, launch, words } from "./visit.mjs";
import { claims } from "./web_claims.mjs";
import { breaks, lacks, loses, offline, slow } from "./web_faults.mjs";
import { compares, draws, follows, loads, map, moves, narrow, saves, shares } from "./web_panels.mjs";
import { quick, small } from "./web_start.mjs";

const SECONDS = Number(process.env.WEB_SECONDS ?? 20);
const PATIENCE = 90_000; // milliseconds until something must have happened; machines of tests are busy
const ONLY = new RegExp(process.env.WEB_ONLY ?? ""); // the names of the visits
const run = promisify(execFile);
const times = []; // of the visits, in seconds, with their names

const { shots, words: [executable, folder] } = words();
deadline(1_200_000 + 2000 * SECONDS);

const server = await serve(folder, "/lab/"), url = `http://127.0.0.1:${server.address().port}/lab/`;
const browser = await launch(executable, WEBGPU);

/** Opens the page. `tab.lab(f)` runs f with the first model; `tab.until(f)` waits until f of it is true; `tab.close(pattern)` checks that
 * the console has said nothing but what the pattern excuses, and that no other server was asked. */
async function open(name, hash, options = {}) {
  const { prepare, ...rest } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", ...rest });
  const page = await context.newPage(), said = [], fetched = [];
  const expect = (good, what) => check(good, `${name}: ${what}`);
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  context.on("request", (request) => {
    if (![url, "data:", "blob:"].some((start) => request.url().startsWith(start))) fetched.push(request.url());
  });
  await prepare?.(page, context);
  await page.goto(`${url}#${hash}`);
  const lab = (act, argument) => page.evaluate(([text, argument]) => (0, eval)(text)(document.querySelector(".lab").lab, argument), [act.toString(), argument]);
  const until = async (act, what, longest = PATIENCE) => {
    const start = Date.now();
    for (;;) {
      const value = await lab(act).catch(() => null);
      if (value) return value;
      if (Date.now() - start > longest) {
        expect(false, `${what} does not happen within ${longest / 1000} s`);
        return null;
      }
      await page.waitForTimeout(100);
    }
  };
  const steps = (more) => until(`(lab) => lab.last?.steps >= ${more}`, `step ${more}`);
  const close = async (excused) => {
    const loud = said.filter((line) => !excused?.test(line));
    expect(!loud.length, `says ${loud.join("; ")}`);
    expect(!fetched.length, `fetches ${fetched}`);
    await context.close();
  };
  const shot = (part) => shots && page.screenshot({ path: join(shots, `web-${name}-${part}.png`) }).catch(() => {}); // a GPU that is a program may be too busy
  return { name, page, context, expect, lab, until, steps, close, shot, url };
}

/** What went wrong inside counts, and does not end the other visits. */
async function visit(name, hash, options, act) {
  if (!ONLY.test(name)) return;
  let tab;
  const begun = Date.now();
  try {
    tab = await open(name, hash, options);
    const excused = await act(tab);
    await tab.close(excused);
  } catch (error) {
    check(false, `${name}: ${error.message.split("\n")[0]} ${error.stack.split("\n").find((line) => line.includes("web")) ?? ""}`);
    await tab?.context.close().catch(() => {});
  }
  times.push([Math.round((Date.now() - begun) / 1000), name]);
}

/** Trains to a stated loss. */
async function trains({ until, expect, lab, page, shot }, device, steps, goal) {
  expect(await until((lab) => lab.about?.device.kind, "a model") === device, `computes on ${device}`);
  await until(`(lab) => lab.last?.steps >= ${steps}`, `step ${steps}`, 240_000);
  const loss = await lab(() => Number(document.querySelector(".term.reconstruction .number").textContent));
  expect(loss < goal, `the reconstruction is ${loss} nats after ${steps} steps, not below ${goal}`);
  const status = await page.textContent(".status");
  expect(/[\d.]+ steps\/s/.test(status) && status.includes(device === "cpu" ? "CPU" : "WebGPU"), `the line of the device says ${status}`);
  expect((await page.textContent(".why")).length > 10, "does not say why this device computes");
  await shot("trained");
}

/** All panels are in view at once at 1280 × 800, and the page answers while it trains. */
async function first({ page, expect, until, lab, shot }) {
  await until((lab) => lab.last?.steps > 20, "twenty steps without a click");
  for (const panel of ["bar", "status", "latent", "encoder", "decoder", "loss", "rebuilt", "draw"]) {
    const box = await page.locator(`.${panel}`).first().boundingBox();
    expect(box && box.y >= 0 && box.y + box.height <= 800.5 && box.x >= 0 && box.x + box.width <= 1280.5, `${panel} is not in view: ${JSON.stringify(box)}`);
  }
  const blank = await lab(() => [...document.querySelectorAll(".flow canvas:not(.loupe), .loss canvas, .rebuilt canvas")].filter((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size < 2;
  }).map((canvas) => canvas.getAttribute("aria-label")));
  expect(!blank.length, `nothing is drawn in ${blank}`);
  const longest = await page.evaluate(() => new Promise((done) => {
    let before = performance.now(), longest = 0;
    const end = before + 3000;
    const tick = () => {
      const now = performance.now();
      [longest, before] = [Math.max(longest, now - before), now];
      now < end ? setTimeout(tick, 10) : done(longest);
    };
    tick();
  }));
  expect(longest < 700, `the tab was busy for ${Math.round(longest)} ms`);
  await shot("first");
}

/** Watches the memory of the browser's processes while the page trains. What is counted is the second half: the first fills caches. */
async function memory({ name, page, expect, until, lab }) {
  const first = (await until((lab) => lab.about?.device.kind, "a model")) === "cpu" ? 50 : 3; // steps
  await until(`(lab) => lab.last?.steps >= ${first}`, `step ${first}`, 240_000);
  const client = await page.context().newCDPSession(page), system = await browser.newBrowserCDPSession(), sizes = [];
  const size = async () => {
    await client.send("HeapProfiler.collectGarbage");
    const { processInfo } = await system.send("SystemInfo.getProcessInfo");
    const ids = processInfo.filter(({ type }) => type === "renderer" || type === "GPU").map(({ id }) => String(id));
    const { stdout } = await run("ps", ["-o", "rss=", "-p", ids.join()]);
    return stdout.trim().split(/\s+/).reduce((sum, kilobytes) => sum + Number(kilobytes), 0) / 1000;
  };
  for (let k = 0; k < 20; k++) {
    await page.waitForTimeout(SECONDS * 50);
    sizes.push(await size());
  }
  // The least of some moments is not raised by what waits for the garbage collector.
  const [half, last] = [sizes.slice(8, 12), sizes.slice(16)].map((some) => Math.min(...some)), most = 8 + SECONDS / 30;
  expect(last - half < most, `the memory grew from ${half.toFixed(0)} to ${last.toFixed(0)} MB in ${SECONDS / 2} s`);
  expect((await lab((lab) => lab.last.steps)) > first + SECONDS / 10, "hardly trains");
  console.log(`${name} over ${SECONDS} s, in MB: ${sizes.map((megabytes) => megabytes.toFixed(0)).join(" ")}`);
}

const cpu = "device=cpu";
if (ONLY.test("small")) await small(folder);
if (ONLY.test("quick")) await quick(browser, url);
await visit("cpu", cpu, {}, async (tab) => {
  await first(tab);
  await trains(tab, "cpu", 300, 190);
  await audit(tab.page, tab.expect);
});
await visit("webgpu", "device=webgpu", {}, async (tab) => {
  await trains(tab, "webgpu", 14, 430); // a GPU that is a program takes three seconds for a step, after half a minute of compiling
});
await visit("slow polling", "device=webgpu", { prepare: slow.prepare }, slow.visit);
for (const [name, act] of Object.entries({ moves, map, draws, follows, compares, shares, saves, loads })) await visit(name, cpu, { acceptDownloads: true }, act);
await visit("claims", cpu, {}, claims);
await visit("phone", cpu, { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, isMobile: true }, async (tab) => {
  await tab.steps(5);
  await tab.page.locator(".more summary").click();
  await narrow(tab);
  await audit(tab.page, tab.expect);
  await tab.shot("dark");
});
await visit("dark", cpu, { colorScheme: "dark", reducedMotion: "reduce" }, async (tab) => {
  await tab.steps(5);
  const moving = await tab.page.evaluate(() => document.getAnimations().length);
  tab.expect(!moving, `${moving} animations run although the visitor asks for none`);
  await audit(tab.page, tab.expect);
  await tab.shot("dark");
});
await visit("memory, cpu", "device=cpu", {}, memory);
await visit("memory, webgpu", "device=webgpu", {}, async (tab) => {
  await memory(tab);
  await loses(tab);
});
for (const [name, options, act] of [...lacks(), ...breaks()]) await visit(name, options.hash ?? cpu, options, act);
await visit("offline", cpu, {}, (tab) => offline(tab, server, folder));
await browser.close();
server.close();
times.sort(([a], [b]) => b - a);
console.log(`the longest visits: ${times.slice(0, 8).map(([seconds, name]) => `${name} ${seconds} s`).join(", ")}`);
end("the page that trains");
