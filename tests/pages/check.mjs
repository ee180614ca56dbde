// Opens pages from the disk in a browser and checks them: see visit.mjs.
//
//   node check.mjs BROWSER PAGE.html… [--shots FOLDER]
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { browse, end, words } from "./visit.mjs";

const { shots, words: [browser, ...pages] } = words();
const visit = await browse(browser, shots);

/** The crosshair tells the number of the point that the pointer is near. */
async function hover(page, expect) {
  const chart = page.locator("figure.chart:has(circle) > svg").first();
  if (!(await chart.count())) return;
  await chart.hover();
  const told = await page.locator(".read:visible").first().textContent();
  expect(/epoch \d+: /.test(told), `the crosshair tells ${JSON.stringify(told)}`);
}

for (const path of pages) await visit(basename(path, ".html"), pathToFileURL(resolve(path)).href, hover);
end(`${pages.length} pages`);
