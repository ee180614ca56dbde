// Draws in the latent explorer with a mouse, a finger and a pen, and uploads pictures on the ground that the run's images do not have.
import { listen } from "./asked.mjs";

/** Moves a pointer of this kind along a path over the canvas. `during` is called before it is lifted. */
async function stroke({ page }, kind, path, during) {
  const canvas = page.locator("#drawing");
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox(), devtools = await page.context().newCDPSession(page);
  const touch = (type, points) => devtools.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y]) => ({ x, y })) });
  const mouse = (type, [x, y], buttons) =>
    devtools.send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons, clickCount: 1, pointerType: kind });
  const steps = path.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
  const last = steps.at(-1);
  if (kind === "touch") await touch("touchStart", [steps[0]]);
  else await mouse("mousePressed", steps[0], 1);
  for (const at of steps.slice(1)) await (kind === "touch" ? touch("touchMove", [at]) : mouse("mouseMoved", at, 1));
  await during();
  if (kind === "touch") await touch("touchEnd", []);
  else await mouse("mouseReleased", last, 0);
  await devtools.detach();
}

const drawing = (page) => page.evaluate(() => document.getElementById("drawing").toDataURL());
const seen = (page) => page.evaluate(() => document.getElementById("seen").src);
const path = (y) => Array.from({ length: 12 }, (_, i) => [0.2 + i * 0.05, y]);
/** Whether the canvas has ink at a place, which is a part of its width and height. */
const inkAt = (page, place) => page.evaluate(([x, y]) => {
  const canvas = document.getElementById("drawing");
  return canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data[0] > 128;
}, place);

/** A drawing is encoded while it is drawn, by any kind of pointer, and can be cleared. */
export async function draw(person) {
  const { page, expect, becomesTrue, changes, told, copied, near } = person;
  const about = await page.evaluate(async () => (await ask("/about")).json());
  const blank = await drawing(page), asked = await listen(page);
  const strokes = [["mouse", 0.3], ["touch", 0.5], ["pen", 0.7]];
  for (const [kind, y] of strokes) {
    const scrolled = await page.evaluate(() => scrollY);
    let before, kinds = [];
    await page.exposeFunction(`told_${kind}`, (found) => kinds.push(found));
    await page.evaluate((kind) => addEventListener("pointerdown", (event) => window[`told_${kind}`](event.pointerType), { once: true, capture: true }), kind);
    await changes(`a stroke by ${kind}, before it ends`, async () => {
      before = await seen(page);
      await stroke(person, kind, path(y), async () => {
        expect(await becomesTrue((before) => document.getElementById("seen").src !== before, before), `${kind}: what the model sees does not change while drawing`);
      });
    });
    expect(`${kinds}` === kind, `a stroke by ${kind} came as ${kinds}`);
    expect(await inkAt(page, [0.45, y]), `${kind}: no ink in the middle of a stroke`);
    if (kind !== "touch") continue;
    const now = await page.evaluate(() => scrollY), top = await page.locator("#drawing").evaluate((canvas) => canvas.getBoundingClientRect().top);
    expect(now === scrolled || top >= 0, `a finger that draws scrolls the page from ${scrolled} to ${now}`);
  }
  expect(!(await inkAt(page, [0.45, 0.4])), "there is ink between the strokes");
  await told("drawing is encoded");
  const pictures = await asked.all("/picture?");
  await asked.end();
  expect(pictures.length >= 3 && pictures.every(({ path }) => /whole=true/.test(path)), `a drawing is cropped: ${pictures[0]?.path}`);
  // The model sees the drawing at the run's size. The same picture as a file has the same code.
  const [, height, width] = about.shape;
  const isSmall = ([height, width]) => {
    const image = document.getElementById("seen");
    return image.complete && image.naturalHeight === height && image.naturalWidth === width;
  };
  expect(await becomesTrue(isSmall, [height, width]), `the model sees a drawing that is not of ${height} × ${width} pixels`);
  const file = await page.evaluate(async () => {
    const blob = await new Promise((done) => document.getElementById("drawing").toBlob(done));
    return (await (await ask("/picture?whole=true", { method: "POST", body: blob })).json()).z;
  });
  let drawn = await copied();
  // The last piece of a stroke may still be on its way.
  for (let i = 0; i < 20 && !near(drawn, file); i++) {
    await page.waitForTimeout(200);
    drawn = await copied();
  }
  expect(near(drawn, file), `a drawing has the code ${drawn}, and its file ${file}`);
  await page.locator("#clear").click();
  await told("drawing is cleared");
  expect((await drawing(page)) === blank && (await page.locator("#seen-figure").isHidden()), "a cleared drawing is not blank");
  expect(near(await copied(), drawn), "z changes when a drawing is cleared");
}

/** A picture on a white ground is noticed by a run of images on a black one, and inverted on request. */
export async function notice({ page, expect, changes, told, copied, near }) {
  const [paper, usual] = await page.evaluate(() => ["#fff", "#000"].map((ground) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 60 }), context = canvas.getContext("2d");
    context.fillStyle = ground;
    context.fillRect(0, 0, 60, 60);
    context.strokeStyle = ground === "#fff" ? "#000" : "#fff";
    context.lineWidth = 6;
    context.strokeRect(20, 15, 20, 30);
    return canvas.toDataURL().split(",")[1];
  }));
  const choose = async (name, base64) => {
    await changes(name, () => page.locator("#file").setInputFiles({ name, mimeType: "image/png", buffer: Buffer.from(base64, "base64") }));
    await told(`${name} is encoded`);
    return copied();
  };
  const codes = await page.locator("#kept li").count();
  const wanted = await choose("black.png", usual);
  expect(await page.locator("#offer").isHidden(), "offers to invert a picture on the ground of the run's images");
  const wrong = await choose("paper.png", paper);
  expect(!near(wrong, wanted), "a picture and its negative have the same code");
  expect(/paper\.png is light/.test(await page.locator("#offer").textContent()), "does not notice a picture on white ground");
  await page.locator("#invert").focus();
  await changes("inverting", () => page.keyboard.press("Enter"));
  await told("paper.png is inverted");
  const inverted = await copied();
  expect(near(inverted, wanted), `the inverted picture has the code ${inverted}, not ${wanted}`);
  expect(await page.locator("#offer").isHidden(), "offers to invert what is inverted");
  const count = await page.locator("#kept li").count();
  expect(count === codes + 2, `two pictures, one of them inverted, are ${count - codes} codes`);
}
