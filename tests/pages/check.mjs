// Opens pages from the disk in a browser, wide and narrow, light and dark, and tells what is wrong with them: words on the
// console, anything fetched, anything wider than the window, whatever axe finds of WCAG 2.2 AA and its own best practice.
//
//   node check.mjs BROWSER PAGE.html… [--shots FOLDER]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const words = process.argv.slice(2), at = words.indexOf("--shots");
const shots = at < 0 ? null : words.splice(at, 2)[1];
const [executablePath, ...pages] = words;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
let wrong = 0;
const tell = (page, what) => {
  wrong += 1;
  console.error(`${page}: ${what}`);
};

for (const path of pages) {
  for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [380, "light"], [380, "dark"]]) {
    const name = `${basename(path)}, ${width} px, ${colorScheme}`;
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
    const page = await context.newPage();
    page.on("console", (message) => tell(name, `console: ${message.text()}`));
    page.on("pageerror", (error) => tell(name, `error: ${error.message}`));
    page.on("request", (request) => {
      if (!/^(file|data):/.test(request.url())) tell(name, `fetches ${request.url()}`);
    });
    await page.goto(pathToFileURL(resolve(path)).href);
    if (shots) await page.screenshot({ path: join(shots, `${basename(path, ".html")}-${width}-${colorScheme}.png`), fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) tell(name, `is ${wide} px wider than the window`);
    const broken = await page.evaluate(async () => {
      const images = [...document.images];
      await Promise.all(images.map((image) => ((image.loading = "eager"), image.decode().catch(() => {}))));
      return images.filter((image) => !image.naturalWidth).map((image) => image.alt);
    });
    for (const alt of broken) tell(name, `an image does not show: ${alt}`);
    // The crosshair tells the number of the point that the pointer is near.
    const chart = page.locator("figure.chart:has(circle) > svg").first();
    if (await chart.count()) {
      await chart.hover();
      const told = await page.locator(".read:visible").first().textContent();
      if (!/epoch \d+: /.test(told)) tell(name, `the crosshair tells ${JSON.stringify(told)}`);
    }
    await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
    await page.mouse.move(0, 0);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() =>
      globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
    for (const { id, help, nodes } of violations) tell(name, `${id}: ${help}: ${nodes[0].target} (${nodes.length})`);
    await context.close();
  }
}
await browser.close();
console.log(`${pages.length} pages, ${wrong} things wrong`);
process.exit(wrong ? 1 : 0);
