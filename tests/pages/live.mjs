// Watches a training run in a browser: its progress and pictures appear, and after a reload the page shows the same and continues. Smooths
// the loss, and goes back to the pictures of earlier epochs.

/** What the page shows of its run. */
const known = (page) => page.evaluate(() => {
  const points = (chart, line) => document.querySelector(`#charts figure:nth-child(${chart}) > svg path.line.s${line}`)?.getAttribute("d").match(/[ML]/g)?.length ?? 0;
  return {
    steps: points(1, 0),
    epochs: points(2, 1),
    lines: [...document.querySelectorAll("#log div")].filter((line) => /^epoch /.test(line.textContent)).length,
    pictures: Number(/\d+/.exec(document.getElementById("drawn").textContent)?.[0] ?? 0),
    bars: document.querySelectorAll("#kl rect").length,
  };
});
const becomesTrue = (page, what, timeout = 30_000) => page.waitForFunction(what, null, { timeout }).then(() => true, () => false);
const drawn = () => {
  const images = [...document.querySelectorAll("#pictures:not([hidden]) figure:not([hidden]) img")];
  return images.length === 2 && images.every((image) => image.complete && image.naturalWidth > 300);
};
/** Whether the page shows `least` epochs within 30 seconds, or as many of another count of `known`. */
const reaches = async (page, least, count = "epochs") => {
  for (let i = 0; i < 150 && (await known(page))[count] < least; i++) await page.waitForTimeout(200);
  return (await known(page))[count] >= least;
};

export async function watch(page, expect) {
  expect(await reaches(page, 3), "three epochs do not come");
  expect(await becomesTrue(page, drawn), "no pictures come");
  await hasTicks(page, expect);
  expect(/^\d+ of 5000$/.test(await page.locator("#epoch").textContent()), "does not tell its epoch");
  const before = await known(page);
  await page.reload();
  expect(await becomesTrue(page, drawn, 10_000), "no pictures are there when it is loaded again");
  const after = await known(page);
  for (const key of Object.keys(before)) {
    expect(before[key] > 0 && after[key] >= before[key], `loaded again, it has ${after[key]} ${key}, and had ${before[key]}`);
  }
  const first = await page.locator("#log div").first().textContent();
  expect(/^epoch +1\//.test(first), `loaded again, its log begins with ${first}`);
  expect(await reaches(page, after.epochs + 2), "loaded again, it hears no more of the run");
  const later = await known(page);
  for (const key of ["lines", "pictures", "steps"]) {
    expect(later[key] > after[key], `loaded again, it has ${later[key]} ${key} after two more epochs, and had ${after[key]}`);
  }
  await hasTicks(page, expect);
  await survivesRounding(page, expect);
  await smooths(page, expect);
  await looksBack(page, expect);
}

/** Every axis has at least three ticks with different words, also in the first epochs of a run. */
async function hasTicks(page, expect) {
  const charts = await page.evaluate(() => [...document.querySelectorAll("#charts figure, #kl figure")].map((figure) => {
    const words = (axis) => [...figure.querySelectorAll(`text.${axis}`)].map((tick) => tick.textContent);
    return { heading: figure.querySelector("figcaption").textContent, across: words("across"), up: words("up") };
  }));
  expect(charts.length >= 5, `has ${charts.length} charts`);
  for (const { heading, across, up } of charts) for (const [axis, words] of Object.entries({ across, up })) {
    expect(words.length >= 3 && words.length <= 9 && new Set(words).size === words.length, `${heading}: the ticks ${axis} are ${words}`);
  }
}

/** A value and its smoothed value differ by rounding. Ticks between these two could not be counted, and the page stopped. */
async function survivesRounding(page, expect) {
  const words = await page.evaluate(() => {
    const y = [...Array(1000).keys()].map((i) => 179 + i / 1000).find((y) => smoothed([[0, y]], 0.6)[0][1] !== y);
    const lines = [[0, y], ...smoothed([[0, y]], 0.6)].map((point, style) => ({ name: "", style, points: [point] }));
    return [...chart("", "", lines, 1, "").querySelectorAll("text.up")].map((tick) => tick.textContent);
  });
  expect(words.length >= 3 && words.length <= 9 && new Set(words).size === words.length, `two values that differ by rounding have the ticks ${words}`);
}

/** Smoothing adds a smoother curve and tells its factor. */
async function smooths(page, expect) {
  const steps = "#charts figure:nth-child(1)", slider = page.getByRole("slider", { name: /^Smoothing/ });
  /** How much the curves of the steps change direction, the unsmoothed one first. */
  const rough = () => page.locator(`${steps} > svg path.line`).evaluateAll((paths) => paths.map((path) => {
    const up = path.getAttribute("d").split(/[ML]/).slice(1).map((point) => Number(point.split(" ")[1]));
    return up.slice(2).reduce((sum, y, i) => sum + Math.abs(y - 2 * up[i + 1] + up[i]), 0);
  }));
  const legend = () => page.locator(`${steps} .legend`).textContent();
  expect((await slider.inputValue()) === "0.6" && /factor 0\.60/.test(await legend()), `does not tell the factor 0.6: ${await legend()}`);
  // The loss falls steeply at first, and no smoothing makes that part of the curve straight. So the curve needs points after it.
  expect(await reaches(page, 30, "steps"), "30 points of the steps do not come");
  await slider.focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("PageUp");
  expect(/factor 0\.(89|9\d)/.test(await legend()) && /0\.(89|9\d)/.test(await page.locator("#factor").textContent()), `does not tell the factor 0.9: ${await legend()}`);
  const [raw, smooth] = await rough();
  expect(smooth < 0.5 * raw, `the smoothed curve bends by ${smooth}, the other one by ${raw}`);
  await page.keyboard.press("Home");
  expect((await rough()).length === 1 && !/smoothed/.test(await legend()), "at a factor of 0 there is still a smoothed curve");
}

/** The pictures of earlier epochs are there, and stay while the run goes on. */
async function looksBack(page, expect) {
  const slider = page.getByRole("slider", { name: "Epoch of the pictures" }), drawn = () => page.locator("#drawn").textContent();
  const bytes = () => page.evaluate(() => Promise.all([...document.querySelectorAll("#pictures figure:not([hidden]) img")].map(async (image) => {
    // The next epoch's picture may take the place of one that is being decoded.
    for (let tries = 0; !(await image.decode().then(() => true, () => false)); tries++) if (tries === 20) throw new Error(`${image.src} cannot be decoded`);
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight), context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data.join();
  })));
  expect(/, the latest$/.test(await drawn()), `does not begin with the latest pictures, but ${await drawn()}`);
  const latest = await bytes();
  await slider.focus();
  await page.keyboard.press("Home");
  expect((await drawn()) === "after epoch 1" && (await slider.getAttribute("aria-valuetext")) === "epoch 1", `the first pictures are ${await drawn()}`);
  const first = await bytes();
  expect(first.every((picture, i) => picture !== latest[i]), "the pictures after epoch 1 are the latest");
  const epochs = (await known(page)).epochs;
  expect(await reaches(page, epochs + 1), "no more epochs come while an earlier one is shown");
  expect((await drawn()) === "after epoch 1" && `${await bytes()}` === `${first}`, `the pictures of epoch 1 go: ${await drawn()}`);
  await page.keyboard.press("End");
  expect(/, the latest$/.test(await drawn()), `the end of the slider is ${await drawn()}`);
}

/** A model with two latents shows its map, and that of the first epoch differs from the latest. */
export async function map(page, expect) {
  expect(await reaches(page, 3), "three epochs do not come");
  const shown = () => {
    const image = document.getElementById("map");
    return image.checkVisibility() && image.complete && image.naturalWidth > 200;
  };
  expect(await becomesTrue(page, shown), "no map comes");
  const latest = await page.locator("#map").getAttribute("src");
  await page.getByRole("slider", { name: "Epoch of the pictures" }).focus();
  await page.keyboard.press("Home");
  expect(await becomesTrue(page, shown), "there is no map of the first epoch");
  const first = await page.locator("#map").getAttribute("src");
  expect(first === "/map.png?epoch=1" && first !== latest, `the first map is ${first}, the latest ${latest}`);
}

/** The end of the run is told, and nothing that was shown goes. */
export async function part(page, expect, interrupt) {
  const before = await known(page);
  interrupt();
  expect(await becomesTrue(page, () => document.getElementById("state").textContent === "The run has ended: interrupted."), "does not tell the end of the run");
  const after = await known(page);
  expect(Object.keys(before).every((key) => after[key] >= before[key]), `has ${JSON.stringify(after)} at the end, and had ${JSON.stringify(before)}`);
}
