// What a visitor does with the panels of the page that trains: see web.mjs.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const beta = (tab, value) => tab.lab((lab, value) => lab.set({ "loss.beta": value }), value);
const differs = (tab, selector) => tab.page.locator(selector).first().evaluate((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size > 1;
});
/** Waits for that many steps more than now. */
export async function more(tab, count) {
  await tab.until((lab) => !lab.starting && lab.last, "a frame");
  const at = await tab.lab((lab) => lab.last.steps);
  await tab.until(`(lab) => lab.last?.steps >= ${at + count}`, `${count} more steps`);
}

/** Every control does what it says. */
export async function moves(tab) {
  const { page, expect, lab, until, steps } = tab;
  await steps(10);
  await page.getByRole("button", { name: "Pause the training" }).click();
  await page.waitForTimeout(500);
  const paused = await lab((lab) => lab.last.steps);
  await page.waitForTimeout(1500);
  expect((await lab((lab) => lab.last.steps)) === paused, "trains although it is paused");
  await page.getByRole("button", { name: "Run the training" }).click();
  await until(`(lab) => lab.last.steps > ${paused}`, "training after the pause");

  const slider = page.getByRole("slider", { name: /β/ });
  await slider.focus();
  for (let k = 0; k < 4; k++) await page.keyboard.press("ArrowRight");
  await until((lab) => Math.abs(lab.about.beta - 1.6) < 1e-6, "β = 1.6 after four keys");
  expect((await slider.getAttribute("aria-valuetext")) === "1.6", "the slider does not say 1.6");
  await page.keyboard.press("Home");
  await until((lab) => lab.about.beta === 0, "β = 0 at the left end");
  await page.keyboard.press("End");
  await until((lab) => lab.about.beta === 100, "β = 100 at the right end");
  const kept = await lab((lab) => lab.last.steps);
  expect(kept > paused, "a change of β begins anew");

  const chosen = async (key, value, done) => {
    await page.locator(`select[data-key="${key}"]`).selectOption(value);
    await until(done, `${key} = ${value}`);
    await more(tab, 2);
    expect(!(await page.locator(".fault").isVisible()), `${key} = ${value} says ${await page.locator(".fault .line").textContent()}`);
  };
  await chosen("train.learning_rate", "0.005", (lab) => Math.abs(lab.about.learning_rate - 0.005) < 1e-9);
  await chosen("model.kind", "dense", (lab) => lab.about.toml.includes('kind = "dense"'));
  expect(await page.locator(".units").first().isVisible(), "a dense model shows no layer");
  await chosen("width", "64", (lab) => /hidden = 64\b/.test(lab.about.toml));
  await chosen("model.kind", "basic", (lab) => lab.about.toml.includes('kind = "basic"'));
  await chosen("width", "4,8", (lab) => /widths = \[\s*4,\s*8/.test(lab.about.toml));
  await chosen("model.z_dim", "8", (lab) => lab.about.latents === 8);
  await page.getByRole("combobox", { name: "Latent on the vertical axis" }).selectOption("5");
  await until((lab) => lab.watching.dims[1] === 5, "another axis");
  for (const kind of ["sse", "gaussian", "bce"]) await chosen("loss.reconstruction", kind, `(lab) => lab.about.toml.includes('reconstruction = "${kind}"')`);
  await chosen("data.kind", "shapes", (lab) => lab.about.toml.includes('kind = "shapes"') && lab.about.classes.length === 3);
  expect((await page.locator(".legend button").count()) === 3, "the legend has not the three shapes");
  await page.locator('select[data-key="data.kind"]').selectOption("own");
  await page.locator("dialog input[accept='image/*']").setInputFiles(await pictures(page, 48));
  await until((lab) => lab.settings["data.kind"] === "own" && lab.about.images.train >= 30 && lab.last, "training on own pictures");
  await more(tab, 2);
  expect(!page.url().includes("own"), "the address claims to hold own pictures");
  await chosen("data.kind", "digits", (lab) => lab.about.classes.length === 10);
  await page.getByRole("button", { name: "Begin anew from the first weights" }).click();
  await until((lab) => !lab.starting && lab.last?.steps < 60, "a new model");
  const hows = page.locator("button.how");
  for (let k = 0; k < await hows.count(); k++) {
    await hows.nth(k).click();
    for (const link of await page.locator("dialog .source a").all()) {
      const { status } = await page.evaluate((href) => fetch(href).then(({ status }) => ({ status })), await link.getAttribute("href"));
      expect(status === 200, `${await link.getAttribute("href")} is not there`);
    }
    await page.locator("dialog").getByRole("button", { name: "Close" }).click();
  }
}

/** Pictures as files: discs of different places on a bright ground. */
async function pictures(page, count) {
  const all = await page.evaluate((count) => Array.from({ length: count }, (_, k) => {
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [60, 40];
    context.fillStyle = "#cce";
    context.fillRect(0, 0, 60, 40);
    context.fillStyle = "#331";
    context.arc(20 + (k % 7) * 3, 12 + (k % 5) * 4, 8, 0, 7);
    context.fill();
    return canvas.toDataURL().split(",")[1];
  }), count);
  return all.map((data, k) => ({ name: `${k}.png`, mimeType: "image/png", buffer: Buffer.from(data, "base64") }));
}

/** The map under a pointer and under the keyboard. */
export async function map(tab) {
  const { page, expect, until, steps } = tab;
  await steps(30);
  const plane = page.locator(".plane"), loupe = page.locator(".loupe");
  await plane.hover({ position: { x: 120, y: 120 } });
  await loupe.waitFor({ state: "visible" });
  expect(await differs(tab, ".loupe"), "the loupe is blank");
  expect(/^z = \(/.test(await page.textContent(".place")), "the place of the pointer is not told");
  await page.mouse.move(2, 2);
  await loupe.waitFor({ state: "hidden" });
  await plane.focus();
  for (const key of ["ArrowRight", "ArrowUp", "ArrowUp"]) await page.keyboard.press(key);
  await loupe.waitFor({ state: "visible" });
  const told = await page.textContent(".hearing");
  expect(/^z = \(0\.\d+, 0\.\d+\)$/.test(told), `a screen reader hears ${told}`);
  await tab.lab((lab) => lab.setRunning(false));
  await page.waitForTimeout(800); // the marks come to rest
  await page.keyboard.press("Enter");
  const nearest = await tab.lab((lab) => {
    const [x, y] = document.querySelector(".place").textContent.match(/−?[\d.]+/g).map((text) => Number(text.replace("−", "-"))), { points } = lab.last.map;
    const far = (k) => Math.hypot(points[2 * k] - x, points[2 * k + 1] - y);
    return { far: far(lab.watching.features), least: Math.min(...[...lab.last.map.labels.keys()].map(far)) };
  });
  expect(nearest.far < nearest.least + 0.01, `the chosen image lies ${nearest.far} from the probe, another ${nearest.least}`);
  // The mark that was chosen is that image: its mu is where the mark lies.
  // The frame before still has another image, perhaps of the same class.
  await until((lab) => {
    const { features, map } = lab.last, at = lab.watching.features;
    return features && map.labels[at] === features.label && Math.hypot(map.points[2 * at] - features.mu[0], map.points[2 * at + 1] - features.mu[1]) < 1e-3;
  }, "an image that lies where its mark is");
  await page.getByRole("button", { name: "Next test image" }).click();
  await page.locator(".legend button").nth(3).click();
  expect((await page.locator(".legend button").nth(3).getAttribute("aria-pressed")) === "true", "a class cannot be singled out");
  await page.getByLabel("images", { exact: true }).uncheck();
  await until((lab) => lab.watching.mosaic === 0, "a map without images");
}

/** A drawing is encoded, by the mouse and by the keyboard. */
export async function draws(tab) {
  const { page, expect, steps, until, shot } = tab;
  await steps(60);
  const box = await page.locator(".pad").boundingBox();
  await page.mouse.move(box.x + 40, box.y + 25);
  await page.mouse.down();
  for (let k = 0; k <= 8; k++) await page.mouse.move(box.x + 40 + 6 * k, box.y + 25 + 10 * k);
  await page.mouse.up();
  await until(() => /^z1 = /.test(document.querySelector(".draw .hint").textContent), "the code of a drawing");
  const pink = () => page.locator(".plane").evaluate((canvas) => { // of the ellipse
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) count += data[i] === 255 && data[i + 1] === 94 && data[i + 2] === 168;
    return count;
  });
  await page.waitForTimeout(200);
  expect((await pink()) > 20, "the map has no ellipse of the drawing");
  expect(await differs(tab, ".seen canvas >> nth=0"), "the drawing as seen is blank");
  expect(await differs(tab, ".seen canvas >> nth=1"), "the reconstruction of the drawing is blank");
  await shot("drawn");
  const first = await page.textContent(".draw .hint");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.waitForTimeout(200);
  expect((await pink()) === 0, "the ellipse stays when the pad is clear");
  await page.locator(".pad").focus();
  await page.keyboard.press("Space");
  for (let k = 0; k < 9; k++) await page.keyboard.press("ArrowLeft");
  await until(() => /^z1 = /.test(document.querySelector(".draw .hint").textContent), "the code of a drawing by keys");
  expect((await page.textContent(".draw .hint")) !== first, "another drawing has the same code");
  await page.keyboard.press("Delete");
  expect(/clear/.test(await page.textContent(".draw .hint")), "Delete does not clear the pad");
}

/** The numbers of a step belong together. */
export async function follows(tab) {
  const { page, expect, steps, lab, shot } = tab;
  await steps(20);
  await page.getByRole("button", { name: /Single step/ }).click();
  await page.locator("dialog.follow h3").first().waitFor();
  expect((await page.locator(".chapter").count()) === 7, "the step has not seven parts");
  const number = (text) => Number(text.replace("−", "-").replace(/[()]/g, ""));
  const draws = (await page.locator(".equation").allTextContents()).filter((line) => /^z\d/.test(line));
  expect(draws.length === 2, `${draws.length} draws are written out`);
  for (const line of draws) {
    const [mu, sigma, eps, z] = line.split("=").slice(1).join("=").split(/ [+×=] /).map(number);
    expect(Math.abs(mu + sigma * eps - z) < 0.003, `${line} is wrong`);
  }
  for (const line of (await page.locator(".equation").allTextContents()).filter((line) => /^KL/.test(line))) {
    const [mu2, sigma2, logvar, , kl] = line.replace("½ (", "½ ").split(/½ | \+ | − (?=[(\d])|\) = /).slice(1).map(number);
    expect(Math.abs(0.5 * (mu2 + sigma2 - logvar - 1) - kl) < 0.003, `${line} is wrong`);
  }
  const [before, after] = (await page.locator(".equation").allTextContents()).filter((line) => /before|after/.test(line)).map((line) => number(/([−\d.]+) =/.exec(line)[1]));
  expect(before > 0 && after > 0 && before !== after, `the loss goes from ${before} to ${after}`);
  await shot("step");
  const title = await page.textContent("#follow-title");
  await page.getByRole("button", { name: "Next batch" }).click();
  await page.waitForFunction((title) => document.querySelector("#follow-title").textContent !== title, title);
  const at = Number(/\d+/.exec(title)[0]);
  expect((await page.textContent("#follow-title")).includes(String(at + 1)), "the next batch is not the next step");
  await page.getByRole("button", { name: "Close and run" }).click();
  await more(tab, 5);
  expect(await lab((lab) => lab.running), "does not run after the dialog");
}

/** On a phone the buttons lie in rows, and no feature map is squeezed. */
export async function narrow({ page, expect }) {
  const tops = (locator) => locator.evaluateAll((all) => all.map((element) => Math.round(element.getBoundingClientRect().top + element.offsetHeight / 2)));
  const rows = new Set(await tops(page.locator(".top nav button")));
  expect(rows.size === 1, `the buttons of the top lie in ${rows.size} rows`);
  for (const panel of await page.locator(".panel").all()) {
    const [title, how] = await tops(panel.locator("header").locator("h2, .how"));
    expect(Math.abs(title - how) < 12, `the how of ${await panel.getAttribute("aria-label")} lies ${how - title} px below its title`);
  }
  await page.getByRole("button", { name: /Single step/ }).click();
  await page.locator("dialog.follow h3").first().waitFor();
  for (const canvas of await page.locator("dialog.follow canvas").all()) {
    const ratio = await canvas.evaluate((canvas) => (canvas.clientWidth / canvas.clientHeight) / (canvas.width / canvas.height));
    expect(Math.abs(ratio - 1) < 0.05, `${await canvas.getAttribute("aria-label")} is ${ratio.toFixed(2)} times as wide as it is`);
  }
  await page.getByRole("button", { name: "Close and run" }).click();
}

/** Two models side by side. */
export async function compares(tab) {
  const { page, expect, steps, shot } = tab;
  await steps(5);
  await page.getByRole("button", { name: "Compare two" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".lab")[1]?.lab.last?.steps > 3, null, { timeout: 60_000 });
  const second = page.locator(".lab").nth(1);
  await second.locator('select[data-key="model.z_dim"]').selectOption("4");
  await page.waitForFunction(() => document.querySelectorAll(".lab")[1].lab.about.latents === 4, null, { timeout: 60_000 });
  expect(await tab.lab((lab) => lab.about.latents) === 2, "the first model has changed too");
  expect(/model.z_dim = 4/.test(await second.locator(".name").textContent()), "the difference is not told");
  await page.waitForFunction(() => location.hash.includes("compare&") && location.hash.includes("b.model.z_dim=4"));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide <= 0, `two models are ${wide} px wider than the window`);
  const cut = await page.locator(".fields select").evaluateAll((lists) => lists.filter((list) => {
    const alone = list.cloneNode();
    alone.append(list.selectedOptions[0].cloneNode(true));
    alone.style = "width: max-content; max-width: none; position: absolute";
    list.after(alone);
    const needed = alone.offsetWidth;
    alone.remove();
    return list.offsetWidth < needed;
  }).map((list) => `${list.dataset.key}: ${list.selectedOptions[0].textContent}`));
  expect(!cut.length, `lists are too narrow for what they say: ${cut.join(", ")}`);
  await shot("two");
  await page.getByRole("button", { name: "End comparison" }).click();
  expect((await page.locator(".lab").count()) === 1, "the second model stays");
  await more(tab, 3);
}

/** The address holds the settings. */
export async function shares(tab) {
  const { page, context, expect, steps, until } = tab;
  await steps(3);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator('select[data-key="model.kind"]').selectOption("dense");
  await page.locator('select[data-key="width"]').selectOption("256");
  await beta(tab, "4");
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("The link is copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await context.newPage();
  await other.goto(link);
  await other.waitForFunction(() => document.querySelector(".lab")?.lab.last?.steps > 3, null, { timeout: 60_000 });
  const state = await other.evaluate(() => { const { about, settings } = document.querySelector(".lab").lab; return [about.beta, settings["model.kind"], settings["model.hidden"], about.device.kind].join(); });
  expect(state === "4,dense,256,cpu", `the link gives ${state}`);
  await other.evaluate(() => { location.hash = "device=cpu&loss.beta=2"; });
  await other.waitForFunction(() => document.querySelector(".lab").lab.about?.beta === 2 && document.querySelector(".lab").lab.settings["model.kind"] === "basic", null, { timeout: 60_000 });
  await other.close();
  await until((lab) => lab.last, "the first tab");
}

/** The weights are saved as a checkpoint, and loaded again. */
export async function saves(tab) {
  const { page, expect, until, lab } = tab;
  await page.locator('select[data-key="model.z_dim"]').selectOption("3");
  await until((lab) => !lab.starting && lab.about.latents === 3 && lab.last?.steps > 40, "a model with three latents");
  await page.getByRole("button", { name: "Pause the training" }).click();
  await page.waitForTimeout(300);
  const kl = (lab) => lab.client.ask("validate").then(({ kl, reconstruction }) => ({ kl, reconstruction }));
  const before = await lab(kl);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download the weights" }).click()]);
  const bytes = await readFile(await file.path()), header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))));
  expect(Object.keys(header).some((name) => name.includes("encoder.mu")), `the checkpoint holds ${Object.keys(header).slice(0, 5)}`);
  if (process.env.VAE) {
    const { stdout } = await promisify(execFile)(process.env.VAE, ["info", await file.path()]);
    expect(/checksum +ok/.test(stdout) && /z_dim = 3/.test(stdout), `vae info says ${stdout.slice(0, 200)}`);
  }
  // The explorer gets the same model.
  const [explorer] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("button", { name: "Explore" }).click()]);
  await explorer.waitForSelector("body[data-ready] #legend li", { timeout: 60_000 });
  const sliders = await explorer.getByRole("slider", { name: /^z\[/ }).count(), marks = await explorer.locator("#legend li").count();
  expect(sliders === 3 && marks === 10, `the explorer shows ${sliders} latents and ${marks} labels`);
  const title = await explorer.title();
  expect(/^model A, (after \d+ steps? of )?epoch [1-9]/.test(title), `the explorer calls itself ${title}`);
  await explorer.close();
  await page.locator('select[data-key="model.z_dim"]').selectOption("2");
  await until((lab) => !lab.starting && lab.about.latents === 2, "another model");
  await page.locator("input[accept='.safetensors']").setInputFiles({ name: "best.safetensors", mimeType: "application/octet-stream", buffer: bytes });
  await until((lab) => !lab.starting && lab.about.latents === 3, "the loaded run");
  const after = await lab(kl);
  expect(Math.abs(after.kl - before.kl) < 1e-3 && Math.abs(after.reconstruction - before.reconstruction) < 1e-2, `saved with ${JSON.stringify(before)}, loaded with ${JSON.stringify(after)}`);
  expect((await page.locator('select[data-key="model.z_dim"]').inputValue()) === "3", "the controls do not show the loaded run");
}

/** A run that `vae train` has trained: its validation loss is what the run has recorded. */
export async function loads(tab) {
  const { page, expect, until, lab } = tab, run = process.env.RUN;
  if (!run) return console.log("RUN is not set: no run of vae train was loaded");
  await until((lab) => lab.last, "a frame");
  await page.getByRole("button", { name: "Pause the training" }).click();
  await page.locator("input[accept='.safetensors']").setInputFiles(join(run, "checkpoints", "last.safetensors"));
  await until((lab) => !lab.starting && /hidden = 32\b/.test(lab.about.toml), "the loaded run");
  const { total, kl } = await lab((lab) => lab.client.ask("validate"));
  const { validation } = JSON.parse((await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n").at(-1));
  const off = Math.abs(total - validation.total) / validation.total;
  expect(off < 1e-4 && Math.abs(kl - validation.kl) < 1e-2, `the page's validation loss is ${total}, KL ${kl}, the run's ${JSON.stringify(validation)}`);
  expect(!(await page.locator(".fault").isVisible()), "a run of vae train says something");
}
