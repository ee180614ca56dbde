// Drags on the map of the latent explorer, shows the mosaic behind it, and compares its marks with those of the server.
import { listen } from "./asked.mjs";

/** A drag moves z at each of its steps, and no latents but the two of the map. */
export async function drag({ page, expect, becomesTrue, changes, copied }) {
  const map = page.locator("#map"), dims = await Promise.all(["#x", "#y"].map(async (id) => Number(await page.locator(id).inputValue())));
  const before = await copied();
  await map.scrollIntoViewIfNeeded();
  const box = await map.boundingBox(), at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  const sliders = () => page.evaluate((dims) => dims.map((dim) => Number(document.getElementById(`slider-${dim}`).value)), dims);
  await page.mouse.move(...at(0.2, 0.3));
  await page.mouse.down();
  const places = [await sliders()];
  for (const [x, y] of [[0.4, 0.3], [0.6, 0.5], [0.8, 0.75]]) {
    await changes("a step of a drag", () => page.mouse.move(...at(x, y)));
    places.push(await sliders());
  }
  expect(places.every(([x], i) => !i || x > places[i - 1][0]), `a drag to the right moves z[${dims[0]}] over ${places.map(([x]) => x)}`);
  expect(places[1][1] === places[0][1] && places[3][1] < places[2][1], `a drag to the right and down moves z[${dims[1]}] over ${places.map(([, y]) => y)}`);
  await page.mouse.up();
  await page.mouse.move(...at(0.5, 0.5));
  expect(`${await sliders()}` === `${places[3]}`, "z follows a pointer that is not held down");
  const after = await copied(), moved = after.flatMap((x, dim) => (Math.abs(x - before[dim]) > 1e-4 ? [dim] : []));
  expect(`${moved}` === `${[...dims].sort((a, b) => a - b)}`, `a drag moves the latents ${moved}`);
  // With the box ticked, a drag goes from code to code.
  await page.locator("#nearest").check();
  await map.scrollIntoViewIfNeeded();
  const again = await map.boundingBox();
  await page.mouse.move(again.x + again.width * 0.5, again.y + again.height * 0.5);
  await page.mouse.down();
  expect(await becomesTrue(() => /code of test image/.test(document.getElementById("status").textContent)), "a press takes no image's code");
  await page.mouse.up();
  await page.locator("#nearest").uncheck();
}

const shown = (page) => page.evaluate(() => document.getElementById("map").toDataURL());

/** The mosaic is one request, tells its range, and its tiles are what their centres decode to. */
export async function showMosaic({ page, expect, becomesTrue, changes }) {
  const asked = await listen(page), mosaics = () => asked.all("/mosaic");
  const before = await shown(page);
  await page.locator("#mosaic").check();
  const told = () => becomesTrue((before) => document.getElementById("map").toDataURL() !== before && /from -?\d+\.\d+ to \d/.test(document.getElementById("mosaic-words").textContent), before);
  expect(await told(), "shows no mosaic with its range");
  const [{ body: question }, ...more] = await mosaics();
  expect(!more.length, `a mosaic is ${more.length + 1} requests`);
  const words = await page.locator("#mosaic-words").textContent();
  for (const end of question.ranges.flat()) expect(words.includes(end.toFixed(2)), `${words} does not say ${end}`);
  const off = await page.evaluate(async (question) => {
    const { shape: [, height, width], mosaic } = await (await ask("/about")).json();
    const pixels = async (path, body) => {
      const answer = await ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      const bitmap = await createImageBitmap(await answer.blob()), canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d");
      context.drawImage(bitmap, 0, 0);
      return context;
    };
    const tiles = await pixels("/mosaic", question), [column, row] = [mosaic - 1, 2], z = [...question.z];
    [column, mosaic - 1 - row].forEach((place, k) => {
      const [low, high] = question.ranges[k];
      z[question.dims[k]] = low + ((high - low) * (place + 0.5)) / mosaic;
    });
    const alone = (await pixels("/decode", { z, label: question.label })).getImageData(0, 0, width, height).data;
    const tile = tiles.getImageData(column * width, row * height, width, height).data;
    return tile.reduce((most, byte, i) => Math.max(most, Math.abs(byte - alone[i])), 0);
  }, question);
  expect(off <= 1, `a tile and what its centre decodes to differ by ${off} of 255`);
  // It follows the other latents, and leaves with its box.
  await asked.clear();
  const still = await shown(page), other = question.z.findIndex((_, dim) => !question.dims.includes(dim));
  await changes("a third latent", () => page.locator(`#slider-${other}`).evaluate((slider) => {
    slider.value = slider.max;
    slider.dispatchEvent(new Event("input"));
  }));
  expect(await becomesTrue((still) => document.getElementById("map").toDataURL() !== still, still), "the mosaic does not follow a third latent");
  const times = (await mosaics()).length;
  expect(times === 1, `after a third latent it asks ${times} times`);
  await page.locator("#mosaic").uncheck();
  expect((await page.locator("#mosaic-words").textContent()) === "" && (await shown(page)) !== still, "a mosaic stays after its box");
  await asked.end();
  await legend(page, expect);
}

/** The legend shows the server's marks, whose colours are checked in vae/figures, in the colours of the theme. */
async function legend(page, expect) {
  const { found, wanted } = await page.evaluate(async () => {
    const { marks } = await (await ask("/about")).json(), dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const found = [...document.querySelectorAll("#legend path")].map((path) => `${path.getAttribute("fill")} ${path.getAttribute("d")}`);
    return { found, wanted: marks.slice(0, found.length).map((mark) => [mark.colours[Number(dark)], mark.polygons]) };
  });
  expect(found.length === 10 && new Set(found).size === 10, `the legend has ${new Set(found).size} different marks for ten labels`);
  found.forEach((mark, label) => {
    const [colour, polygons] = wanted[label], corners = polygons.flat(2);
    expect(mark.startsWith(`${colour} `) && corners.every((x) => mark.includes(String(x))), `the mark of label ${label} is ${mark}`);
  });
  // 1 and 6, whose colours a reader with protanopia confused, have different shapes, too.
  const shape = (label) => found[label]?.replace(/^\S+ /, "");
  expect(shape(1) !== shape(6), "labels 1 and 6 have the same shape");
}
