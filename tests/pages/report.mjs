// What must be true of a report in a browser, in every width and theme. Each check gets the page and `expect(good, what)`.

/** The crosshair tells the number of the point that the pointer is near. */
async function hover(page, expect) {
  const chart = page.locator("figure.chart:has(circle) > svg").first();
  if (!(await chart.count())) return;
  await chart.hover();
  const told = await page.locator(".read:visible").first().textContent();
  expect(/epoch \d+: /.test(told), `the crosshair tells ${JSON.stringify(told)}`);
}

/** A row of a table of scores shows its name and its first value without scrolling. */
async function scores(page, expect) {
  const hidden = await page.evaluate(() => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    const inside = (box) => box.width > 0 && box.left >= 0 && box.right <= innerWidth;
    const rows = [...document.querySelectorAll("table.scores tbody tr")];
    const shown = (row) => {
      const region = row.closest(".scroll"), [name, value] = row.cells;
      const range = document.createRange();
      range.selectNodeContents(value);
      return region.scrollLeft === 0 && inside(name.getBoundingClientRect()) && inside(range.getBoundingClientRect());
    };
    const wrong = rows.filter((row) => !shown(row)).map((row) => row.cells[0].firstChild.textContent);
    for (const details of document.querySelectorAll("details")) details.open = false;
    return { rows: rows.length, wrong };
  });
  expect(hidden.rows > 3, `has ${hidden.rows} scores`);
  expect(!hidden.wrong.length, `values cannot be seen: ${hidden.wrong}`);
}

/** Few scores are shown at first, with the direction in which they are better. */
async function first(page, expect) {
  const shown = await page.locator("table.scores tbody tr:visible").evaluateAll((rows) => rows.map((row) => row.textContent));
  expect(shown.length >= 2 && shown.length <= 9, `shows ${shown.length} scores at first`);
  expect(shown.some((row) => /better [↑↓]/.test(row)), "does not say which scores are better");
  expect(!shown.some((row) => /\((mws|mss)\)|batch/.test(row)), `shows biased estimates: ${shown}`);
}

/** Figures are shown whole. In full size, which is offered where they are smaller, they scroll. */
async function whole(page, expect) {
  const cut = () =>
    page.locator("figure.picture .scroll").evaluateAll((boxes) =>
      boxes.filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.getAttribute("aria-label")));
  expect(!(await cut()).length, `figures are cropped: ${await cut()}`);
  const button = page.locator("button.size:visible").first();
  const narrow = (await page.evaluate(() => innerWidth)) < 500;
  expect((await button.count()) || !narrow, "does not offer the full size of a figure");
  if (!(await button.count())) return;
  await button.click();
  expect((await cut()).length === 1 && (await button.getAttribute("aria-pressed")) === "true", "does not show a figure in full size");
  await button.click();
  expect(!(await cut()).length, "a figure stays in full size");
}

/** In the dark theme, a figure has the background of the page at its four corners, and light text. */
async function theme(page, expect) {
  if (!(await page.evaluate(() => matchMedia("(prefers-color-scheme: dark)").matches))) return;
  const figures = page.locator("figure.picture svg, figure.picture img");
  for (let i = 0; i < (await figures.count()); i++) {
    const figure = figures.nth(i);
    await figure.scrollIntoViewIfNeeded();
    const png = await figure.screenshot();
    const odd = await page.evaluate(async (data) => {
      const picture = new Image();
      picture.src = `data:image/png;base64,${data}`;
      await picture.decode();
      const { width, height } = picture, canvas = Object.assign(document.createElement("canvas"), { width, height });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0);
      const at = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3).join(", ");
      const corners = [[2, 2], [width - 3, 2], [2, height - 3], [width - 3, height - 3]].map(([x, y]) => at(x, y));
      const paper = getComputedStyle(document.body).backgroundColor;
      return corners.find((corner) => `rgb(${corner})` !== paper);
    }, png.toString("base64"));
    expect(!odd, `a figure has the background ${odd}: ${(await figure.getAttribute("aria-label")) ?? (await figure.getAttribute("alt"))}`);
  }
  const faint = await figures.locator("text").evaluateAll((texts) => {
    const light = (colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, x) => sum + Number(x), 0) / 3;
    const paper = light(getComputedStyle(document.body).backgroundColor);
    return texts.filter((text) => Math.abs(light(getComputedStyle(text).fill) - paper) < 100).map((text) => text.textContent);
  });
  expect(!faint.length, `text of figures is as light or dark as the page: ${faint.slice(0, 3)}`);
}

/** A line of the same name has the same colour in all charts. */
async function colours(page, expect) {
  const lines = await page.locator("#curves ~ .charts figure.chart .legend li").evaluateAll((items) =>
    items.map((item) => [item.textContent.trim(), getComputedStyle(item.querySelector("path")).stroke]));
  const known = new Map();
  for (const [name, colour] of lines) {
    expect((known.get(name) ?? colour) === colour, `"${name}" is ${known.get(name)} and ${colour}`);
    known.set(name, colour);
  }
  expect(known.size > 1 && new Set(known.values()).size === known.size, `lines share a colour: ${[...known]}`);
}

/** Texts below an axis do not overlap. */
async function ticks(page, expect) {
  const overlap = await page.locator("figure.chart > svg").evaluateAll((charts) =>
    charts.flatMap((chart) => {
      const frame = chart.viewBox.baseVal, rows = new Map();
      for (const text of chart.querySelectorAll("text[text-anchor=middle]")) {
        const y = text.getAttribute("y");
        rows.set(y, [...(rows.get(y) ?? []), text]);
      }
      const clash = [...rows.values()].flatMap((row) => row.slice(1).filter((text, i) => {
        const [left, right] = [row[i].getBBox(), text.getBBox()];
        return left.x + left.width + 2 > right.x || right.x + right.width > frame.width + 20;
      }));
      return clash.map((text) => `${text.textContent} of ${chart.getAttribute("aria-label").slice(0, 30)}`);
    }));
  expect(!overlap.length, `texts below an axis overlap: ${overlap.slice(0, 4)}`);
}

/** No caption occurs twice, or again in its figure. */
async function captions(page, expect) {
  const twice = await page.evaluate(() => {
    const figures = [...document.querySelectorAll("figure.picture")];
    const caption = (figure) => figure.querySelector("figcaption").textContent.trim();
    const all = figures.map(caption);
    const again = (figure) => [...figure.querySelectorAll("svg text, svg > title")].some((text) => text.textContent.length > 12 && caption(figure).includes(text.textContent));
    return [...all.filter((words, i) => all.indexOf(words) !== i), ...figures.filter(again).map(caption)];
  });
  expect(!twice.length, `a caption is there twice: ${twice}`);
}

/** The slider over the map of two latents shows one picture at a time, from the model before training to the last. */
async function stills(page, expect) {
  const figure = page.locator("figure.stills");
  if (!(await figure.count())) return;
  const shown = () => figure.locator("img:visible").evaluateAll((images) => images.map((image) => image.alt));
  const slider = figure.getByRole("slider"), told = () => figure.locator("output").textContent();
  const last = await shown();
  await slider.focus();
  await page.keyboard.press("Home");
  const first = await shown();
  expect(last.length === 1 && first.length === 1 && / before training:/.test(first[0]), `the first map is ${first}, the last ${last}`);
  expect((await told()) === "0" && (await slider.getAttribute("aria-valuetext")) === "after 0 epochs", `tells epoch ${await told()}`);
  await page.keyboard.press("End");
  expect(`${await shown()}` === `${last}` && last[0].includes(`after epoch ${await told()}:`), `the end is ${await shown()}, epoch ${await told()}`);
}

export const CHECKS = [hover, first, scores, whole, theme, colours, ticks, captions, stills];
