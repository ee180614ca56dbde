// Opens reports from the disk in a browser and checks them: see visit.mjs. `report.mjs` has what must be true of every report.
//
//   node check.mjs BROWSER PAGE.html… [--shots FOLDER]
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { CHECKS } from "./report.mjs";
import { browse, end, words } from "./visit.mjs";

const { shots, words: [browser, ...pages] } = words();
const visit = await browse(browser, shots);

async function look(page, expect) {
  for (const check of CHECKS) await check(page, expect);
}

for (const path of pages) await visit(basename(path, ".html"), pathToFileURL(resolve(path)).href, look);
end(`${pages.length} pages`);
