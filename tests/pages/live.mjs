// Watches a training run in a browser: its progress and pictures appear, and after a reload the page shows the same and continues.

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
  const images = [...document.querySelectorAll("#pictures:not([hidden]) img")];
  return images.length === 2 && images.every((image) => image.complete && image.naturalWidth > 300);
};
/** Whether there are so many epochs before long. */
const reaches = async (page, epochs) => {
  for (let i = 0; i < 150 && (await known(page)).epochs < epochs; i++) await page.waitForTimeout(200);
  return (await known(page)).epochs >= epochs;
};

export async function watch(page, expect) {
  expect(await reaches(page, 3), "three epochs do not come");
  expect(await becomesTrue(page, drawn), "no pictures come");
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
}

/** The end of the run is told, and nothing that was shown goes. */
export async function part(page, expect, interrupt) {
  const before = await known(page);
  interrupt();
  expect(await becomesTrue(page, () => document.getElementById("state").textContent === "The run has ended: interrupted."), "does not tell the end of the run");
  const after = await known(page);
  expect(Object.keys(before).every((key) => after[key] >= before[key]), `has ${JSON.stringify(after)} at the end, and had ${JSON.stringify(before)}`);
}
