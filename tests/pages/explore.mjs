// Uses the latent explorer in a browser, with the mouse and the keyboard: moves sliders, encodes images, interpolates and blends
// them, and clicks the map. drawing.mjs draws, and map.mjs drags on the map.
import { readFileSync } from "node:fs";
import { draw, notice } from "./drawing.mjs";
import { drag, showMosaic } from "./map.mjs";

/** What the canvas shows. */
const shown = (page) => page.evaluate(() => document.getElementById("shown").toDataURL());
const near = (a, b) => a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) < 1e-4);

/** What a visitor of the page does and looks at. */
function visitor(page, expect) {
  /** Whether a condition becomes true within five seconds. */
  const becomesTrue = (what, argument) => page.waitForFunction(what, argument, { timeout: 5_000 }).then(() => true, () => false);
  /** Does something that must change the picture, and waits until it has. */
  const changes = async (what, work) => {
    const before = await shown(page);
    await work();
    expect(await becomesTrue((before) => document.getElementById("shown").toDataURL() !== before, before), `${what}: the same picture`);
  };
  const told = async (pattern) =>
    expect(await becomesTrue((pattern) => new RegExp(pattern).test(document.getElementById("status").textContent), pattern), `does not tell ${pattern}`);
  /** z, as it is copied. */
  const copied = async () => {
    await page.locator("#copy").click();
    await told("numbers are copied");
    return JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  };
  return { page, expect, becomesTrue, changes, told, copied, near };
}

export async function use(page, expect) {
  const person = visitor(page, expect), { becomesTrue, changes, told, copied } = person;
  const kept = page.locator("#kept li");
  const keeps = async (count, what) => expect((await kept.count()) === count, `${what}: ${await kept.count()} codes are kept, not ${count}`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);

  expect(await becomesTrue(() => "ready" in document.body.dataset && document.getElementById("shown").width > 1), "shows no picture");
  expect(await becomesTrue(() => document.querySelector("#legend li")), "shows no map");
  const { latents } = await page.evaluate(async () => (await ask("/about")).json());

  // Screen readers tell each slider's latent.
  for (const { dim } of latents) {
    const named = page.getByRole("slider", { name: new RegExp(`^z\\[${dim}\\] `), includeHidden: true });
    expect((await named.count()) === 1, `${await named.count()} sliders are called z[${dim}]`);
  }
  expect((await page.getByRole("slider", { name: /^z\[/ }).count()) === Math.min(latents.length, 12), "a slider of the first twelve has no name");

  // By keyboard: past the skip link to the latent with the highest KL. The fastest of its pictures counts, because the machine may be busy.
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement.className === "skip"), "Tab does not begin at the skip link");
  const sliders = page.locator("#sliders input");
  await sliders.first().focus();
  let took = Infinity;
  for (let i = 0; i < 4; i++) {
    await changes("a slider by keyboard", () => page.keyboard.press("PageUp"));
    took = Math.min(took, Number(await page.locator("#shown").getAttribute("data-milliseconds")));
  }
  expect(took < 100, `a change took ${took} ms`);
  await changes("a slider by mouse", () => sliders.nth(1).click({ position: { x: 5, y: 5 } }));
  let z = await copied();
  expect(z.length === latents.length && z[latents[0].dim] > 0 && z[latents[1].dim] < 0, `copied ${z}`);
  await page.locator("#all").click();
  const visible = await page.locator("#sliders input:visible").count();
  expect(visible === latents.length, `${visible} sliders of ${latents.length} are to be seen`);
  await changes("z = 0", () => page.locator("#zero").click());
  const zero = await shown(page);
  await changes("a draw", () => page.locator("#draw").click());

  // The saved file contains the picture that is shown.
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save").click()]);
  const png = readFileSync(await download.path()).toString("base64");
  const saved = await page.evaluate(async (png) => {
    const image = new Image(), canvas = document.createElement("canvas");
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL();
  }, png);
  expect(saved === (await shown(page)) && download.suggestedFilename() === "decoded.png", `saved another picture as ${download.suggestedFilename()}`);

  // Encodes two test images, and the saved file twice: chosen, and dropped.
  for (const place of ["3", "8"]) {
    await page.locator("#place").fill(place);
    await changes(`test image ${place}`, () => page.locator("#place").press("Enter"));
    await told(`Test image ${place} .*encoded`);
  }
  const file = { name: "own.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") };
  await changes("a file", () => page.locator("#file").setInputFiles(file));
  await told("own.png is encoded");
  const chosen = await copied();
  await changes("z = 0", () => page.locator("#zero").click());
  const dataTransfer = await page.evaluateHandle((png) => {
    const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0)), transfer = new DataTransfer();
    transfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
    return transfer;
  }, png);
  await changes("a drop", () => page.dispatchEvent("#drop", "drop", { dataTransfer }));
  await told("dropped.png is encoded");
  expect(near(await copied(), chosen), "a file has another code when it is dropped");
  await keeps(4, "two test images and a file twice");
  await kept.nth(3).getByRole("button", { name: /^Remove/ }).click();
  await keeps(3, "one taken away");

  // Checks z halfway from the first image to the second, and for a blend with a weight and a negation.
  const codes = [];
  for (let i = 0; i < 3; i++) {
    await changes("a kept code", () => kept.nth(i).getByRole("button", { name: /^Show/ }).click());
    codes.push(await copied());
  }
  const [a, b, c] = codes;
  await page.locator("#from").selectOption("0");
  await page.locator("#to").selectOption("1");
  await page.locator("#move").focus();
  await changes("the end of a move", () => page.keyboard.press("End"));
  expect(near((z = await copied()), b), `a move ends at ${z}, not at ${b}`);
  await page.locator("#move").focus();
  await changes("the start of a move", () => page.keyboard.press("Home"));
  for (let i = 0; i < 5; i++) await changes("a step of a move", () => page.keyboard.press("PageUp"));
  const half = a.map((x, i) => (x + b[i]) / 2);
  expect(near((z = await copied()), half), `half of the way is ${z}, not ${half}`);
  await changes("a weight", () => kept.nth(0).getByRole("spinbutton").fill("0.6"));
  await changes("a negation", () => kept.nth(1).getByRole("checkbox").check());
  const blend = a.map((x, i) => 0.6 * x - b[i] + c[i]);
  expect(near((z = await copied()), blend), `the blend is ${z}, not ${blend}`);
  await page.locator("#keep").click();
  await keeps(4, "z is kept");

  // A click on the map sets its two latents and no other. By keyboard, it takes the code of the nearest image.
  const map = page.locator("#map"), across = Number(await page.locator("#x").inputValue()), up = Number(await page.locator("#y").inputValue());
  await map.scrollIntoViewIfNeeded();
  const box = await map.boundingBox();
  await changes("a click on the map", () => page.mouse.click(box.x + box.width * 0.3, box.y + box.height * 0.8));
  const clicked = await copied(), moved = clicked.flatMap((x, dim) => (Math.abs(x - blend[dim]) > 1e-4 ? [dim] : []));
  expect(`${moved}` === `${[across, up].sort((a, b) => a - b)}`, `a click on z[${across}] and z[${up}] set ${moved}`);
  await page.locator("#nearest").check();
  await map.focus();
  for (const key of ["ArrowRight", "ArrowRight", "ArrowUp"]) await page.keyboard.press(key);
  await changes("Enter on the map", () => page.keyboard.press("Enter"));
  await told("code of test image");
  await page.locator("#nearest").uncheck();
  await drag(person);
  await showMosaic(person);
  await draw(person);
  await notice(person);
  const right = await page.locator("#wrong").textContent();
  expect(!right, right);

  // An error is shown, and removed after the next success.
  await page.locator("#place").evaluate((input) => input.removeAttribute("max"));
  await page.locator("#place").fill("99999999");
  await page.locator("#place").press("Enter");
  expect(await becomesTrue(() => /there is no test image/.test(document.getElementById("wrong").textContent)), "does not tell that there is no such image");
  await page.locator("#place").fill("8");
  await changes("z = 0", () => page.locator("#zero").click());
  expect(await becomesTrue(() => !document.getElementById("wrong").textContent), "does not forget what was wrong");
  expect((await shown(page)) === zero, "z = 0 has another picture the second time");
  return /status of 400/;
}
