// Uses the latent explorer in a browser as a person would: sliders move pixels, images are encoded, moved between and blended,
// the map is clicked; by keyboard, wide and narrow, light and dark. `use` is told what is wrong.
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What the canvas shows, once the model has answered. */
const shown = (page) => page.evaluate(() => document.getElementById("shown").toDataURL());
const changes = (page, before) =>
  page.waitForFunction((before) => document.getElementById("shown").toDataURL() !== before, before, { timeout: 10_000 });

export async function use(page, tell) {
  await page.waitForSelector("body[data-ready]");
  await page.waitForFunction(() => document.getElementById("shown").width > 1 && document.querySelector("#legend li"));
  // The latent of the highest KL, by keyboard, and how long its pictures took; the fastest counts, on a machine that is busy.
  let before, took = Infinity;
  await page.locator("#sliders input").first().focus();
  for (let i = 0; i < 4; i++) {
    before = await shown(page);
    await page.keyboard.press("PageUp");
    await changes(page, before);
    took = Math.min(took, Number(await page.locator("#shown").getAttribute("data-milliseconds")));
  }
  if (!(took < 100)) tell(`a change took ${took} ms`);
  // Two test images and a file of the user's own are encoded; z moves between the first two.
  for (const place of ["3", "8"]) {
    before = await shown(page);
    await page.locator("#place").fill(place);
    await page.locator("#place").press("Enter");
    await changes(page, before);
  }
  const file = join(tmpdir(), `own-${process.pid}.png`);
  writeFileSync(file, Buffer.from((await shown(page)).split(",")[1], "base64"));
  await page.locator("#file").setInputFiles(file);
  await page.waitForFunction(() => document.querySelectorAll("#kept li").length === 3);
  await page.locator("#from").selectOption("0");
  await page.locator("#to").selectOption("1");
  before = await shown(page);
  await page.locator("#move").focus();
  await page.keyboard.press("Home");
  for (let i = 0; i < 5; i++) await page.keyboard.press("PageUp");
  await changes(page, before);
  // A blend with a weight and a negation.
  before = await shown(page);
  await page.locator("#kept input[type=number]").first().fill("0.6");
  await page.locator("#kept input[type=checkbox]").nth(1).check();
  await changes(page, before);
  // The map: a click, then the keyboard.
  before = await shown(page);
  await page.locator("#map").scrollIntoViewIfNeeded();
  const box = await page.locator("#map").boundingBox();
  await page.mouse.click(box.x + box.width * 0.3, box.y + box.height * 0.7);
  await changes(page, before);
  before = await shown(page);
  await page.locator("#nearest").check();
  await page.locator("#map").focus();
  for (const key of ["ArrowRight", "ArrowRight", "ArrowUp", "Enter"]) await page.keyboard.press(key);
  await changes(page, before);
  // What is copied is z, what is saved is what is shown.
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("#copy").click();
  await page.waitForFunction(() => /copied/.test(document.getElementById("status").textContent));
  const z = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  const latents = await page.locator("#sliders input").count();
  if (z.length !== latents || !z.every(Number.isFinite)) tell(`copied ${JSON.stringify(z)} of ${latents} latents`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save").click()]);
  if (download.suggestedFilename() !== "decoded.png") tell(`saved ${download.suggestedFilename()}`);
  const wrong = await page.locator("#wrong").textContent();
  if (wrong) tell(wrong);
  // What is wrong is told, and forgotten once something is right.
  await page.locator("#place").evaluate((input) => input.removeAttribute("max"));
  await page.locator("#place").fill("99999999");
  page.off("console", page.listener);
  await page.locator("#place").press("Enter");
  await page.waitForFunction(() => /there is no test image/.test(document.getElementById("wrong").textContent));
  page.on("console", page.listener);
  await page.locator("#zero").click();
  await page.waitForFunction(() => !document.getElementById("wrong").textContent);
}
