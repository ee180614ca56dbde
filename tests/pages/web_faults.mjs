// What a browser may lack, what may break, and that the page says so in one line and offers a way on: see web.mjs.
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";

const line = ({ page }) => page.locator(".fault .line").first();

/** Browsers without something that the page needs: name, options, visit. */
export function lacks() {
  const says = (pattern) => async ({ page, expect }) => {
    await page.waitForTimeout(500);
    const text = await page.textContent("main");
    expect(pattern.test(text), `says ${text}`);
  };
  return [
    ["no SIMD", { prepare: (page) => page.addInitScript(() => { WebAssembly.validate = () => false; }) }, says(/WebAssembly without SIMD/)],
    ["no WebAssembly", { prepare: (page) => page.addInitScript(() => { delete globalThis.WebAssembly; }) }, says(/does not run WebAssembly/)],
    ["no module workers", {
      prepare: (page) => page.addInitScript(() => {
        globalThis.Worker = class extends EventTarget { postMessage() {} terminate() {} };
      }),
    }, says(/no module workers/)],
    ["no scripts", { javaScriptEnabled: false }, async ({ page, expect }) => {
      expect(await page.locator("#boot").isVisible(), "the page is blank without scripts");
    }],
    ["no WebGPU", {
      hash: "",
      prepare: before("delete Object.getPrototypeOf(navigator).gpu;\n"),
    }, async ({ until, expect, page }) => {
      expect(await until((lab) => lab.about?.device.kind, "a model") === "cpu", "without WebGPU the CPU computes");
      expect(/WebGPU/.test(await page.textContent(".why")), `the reason is ${await page.textContent(".why")}`);
    }],
  ];
}

/** Firefox delivers what a GPU has finished at the next submission, or else at the next tick of a timer of 100 ms. This is the same in
 * the worker of this page, which then counts both. */
const SLOW_POLLING = `{
  const waiting = [], counts = (globalThis.delivered = { submission: 0, timer: 0 });
  const deliver = (by) => waiting.splice(0).forEach((done) => { counts[by] += 1; done(); });
  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (commands) { submit.call(this, commands); deliver("submission"); };
  setInterval(() => deliver("timer"), 100);
  for (const [{ prototype }, name] of [[GPUBuffer, "mapAsync"], [GPUQueue, "onSubmittedWorkDone"]]) {
    const act = prototype[name];
    prototype[name] = function (...words) { return act.apply(this, words).then(() => new Promise((done) => waiting.push(done))); };
  }
}
`;

const before = (code) => (page) => page.route("**/worker.js", async (route) => {
  const answer = await route.fetch();
  await route.fulfill({ response: answer, body: code + (await answer.text()) });
});

/** A browser that is slow to say that the GPU has finished does not slow the training down. */
export const slow = {
  prepare: before(SLOW_POLLING),
  visit: async ({ page, until, expect }) => {
    await until((lab) => lab.last?.steps >= 3, "three steps on WebGPU", 240_000);
    const { submission, timer } = await page.workers()[0].evaluate(() => globalThis.delivered);
    expect(submission + timer > 10 && timer < 0.4 * submission, `${submission} answers of the GPU came with a submission, ${timer} with the timer`);
  },
};

/** Checks the line that says what broke. */
async function stops(tab, pattern) {
  await line(tab).waitFor({ state: "visible", timeout: 60_000 });
  const text = await line(tab).textContent();
  tab.expect(pattern.test(text) && !text.includes("\n"), `says ${text}`);
}

/** A page that trains on WebGPU loses the GPU. */
export async function loses(tab) {
  await tab.lab((lab) => { lab.client.ask("lose").catch(() => {}); });
  await stops(tab, /GPU|device|lost/i);
  tab.expect(await tab.page.getByRole("button", { name: "Begin anew", exact: true }).isVisible(), "offers no new start");
  await tab.page.getByRole("button", { name: /Download/ }).click();
  tab.expect(/no model is running/.test(await line(tab).textContent()), `saving says ${await line(tab).textContent()}`);
  await tab.page.getByRole("button", { name: "Begin anew on the CPU" }).click();
  await tab.until((lab) => lab.about?.device.kind === "cpu" && lab.last?.steps > 3, "training on the CPU after the loss");
  tab.expect(!(await line(tab).isVisible()), "the line stays after the restart");
}

/** Things that break: name, options, visit. */
export function breaks() {
  return [
    ["no worker", { prepare: (page) => page.route("**/worker.js", (route) => route.abort()) }, async (tab) => {
      await stops(tab, /worker did not start/);
      return /Failed to load resource|ERR_FAILED/;
    }],
    ["no engine", { prepare: (page, context) => context.route("**/*.wasm", (route) => route.fulfill({ status: 404, body: "" })) }, async (tab) => {
      await stops(tab, /engine/);
      return /404|wasm/i;
    }],
    ["bad settings", { hash: "device=cpu&data.image_size=27" }, async (tab) => {
      await stops(tab, /image_size|multiple/);
      await tab.page.getByRole("button", { name: "Begin anew with the page's own settings" }).click();
      await tab.until((lab) => lab.last?.steps > 3, "training with the page's own settings");
    }],
    ["bad settings, then others", { hash: "device=cpu&data.image_size=27" }, async (tab) => {
      await stops(tab, /image_size|multiple/);
      await tab.lab((lab) => { lab.set({ "loss.beta": "4" }); });
      await stops(tab, /image_size|multiple/);
      tab.expect(await tab.page.getByRole("button", { name: "Begin anew with the page's own settings" }).isVisible(), "offers no new start");
    }],
    ["ended while it starts", { hash: "device=cpu&compare" }, async (tab) => {
      await tab.page.waitForFunction(() => document.querySelector("[data-lab=b]")?.lab.last, null, { timeout: 60_000 });
      const alive = await tab.page.evaluate(async () => {
        const { lab } = document.querySelector("[data-lab=b]");
        lab.set({ "model.z_dim": "4" });
        lab.set({ "model.z_dim": "8" });
        lab.end();
        await new Promise((done) => setTimeout(done, 3000));
        return Boolean(lab.client);
      });
      tab.expect(!alive, "a model that was ended trains on");
    }],
    ["bad address", { hash: "device=cpu&nonsense=%&loss.beta=%3Cb%3E&b.x=1&model.kind" }, async (tab) => {
      await tab.until((lab) => lab.last?.steps > 3, "training with a damaged address");
    }],
    ["damaged run", {}, async (tab) => {
      await tab.steps(5);
      await tab.page.locator("input[accept='.safetensors']").setInputFiles({ name: "best.safetensors", mimeType: "application/octet-stream", buffer: Buffer.from("not a checkpoint at all") });
      await stops(tab, /safetensors|checkpoint|header/i);
      await tab.until((lab) => !lab.starting && lab.last, "the model after a damaged file");
      const at = await tab.lab((lab) => lab.last.steps);
      await tab.until(`(lab) => lab.last?.steps > ${at}`, "training after a damaged file");
    }],
    ["no pictures", {}, async (tab) => {
      await tab.steps(5);
      await tab.page.locator("select[data-key='data.kind']").selectOption("own");
      await tab.page.locator("dialog input[accept='image/*']").setInputFiles([{ name: "a.png", mimeType: "image/png", buffer: Buffer.from("no picture") }]);
      await tab.page.getByText("0 of 1 files are pictures").waitFor();
      await tab.page.getByRole("button", { name: "Close", exact: true }).click();
    }],
  ];
}

/** Once loaded, the page works without a network, and so do the explorer and the links of its explanations. `server` ends, so this is the
 * last visit. `folder` holds the page's files. */
export async function offline({ page, context, until, expect, steps, url }, server, folder) {
  await steps(3);
  await page.evaluate(async () => { await navigator.serviceWorker.ready; });
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
  const kept = new Set(await page.evaluate(async () => (await (await caches.open("vae-page")).keys()).map(({ url }) => url)));
  const lost = files.filter((file) => file !== "offline.js" && !kept.has(url + file.replace(/index\.html$/, "")));
  expect(files.length > 40 && !lost.length, `without a network these files are missing: ${lost}`);
  await context.setOffline(true);
  server.closeAllConnections();
  server.close();
  await page.reload();
  await until((lab) => lab.last?.steps > 3, "training without a network");
  expect((await page.locator(".latent").count()) === 1, "the page is not there without a network");
  await page.locator("button.how").first().click();
  const source = await page.locator("dialog .source a").first().evaluate((link) => fetch(link.href).then((answer) => answer.text()));
  expect(source.includes("fn "), "the file of an explanation is not there without a network");
  await page.locator("dialog").getByRole("button", { name: "Close" }).click();
  const [explorer] = await Promise.all([context.waitForEvent("page"), page.getByRole("button", { name: "Explore" }).click()]);
  await explorer.waitForSelector("body[data-ready] #legend li", { timeout: 60_000 });
  return /ERR_INTERNET_DISCONNECTED|Failed to load resource|Failed to fetch/;
}
