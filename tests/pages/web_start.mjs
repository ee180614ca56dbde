// How much a visitor downloads and how long it takes until the page answers: see web.mjs.
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { check } from "./visit.mjs";

const MOST_BYTES = 5e6; // of everything, compressed, with 10,000 digits
const LONGEST = 3000; // milliseconds from the address to a page that trains and answers

/** Everything but the text of source files, which nobody loads who does not ask for it. */
export async function small(folder) {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isFile() && !path.startsWith(join(folder, "source"))) bytes += gzipSync(await readFile(path), { level: 9 }).length;
  }
  check(bytes < MOST_BYTES, `the page has ${bytes} bytes, compressed`);
  console.log(`the page has ${bytes} bytes, compressed`);
}

/** The first visit: nothing is in the browser's caches. The shortest of some visits is not lengthened by what else the machine does. */
export async function quick(browser, url) {
  const times = [];
  for (let visit = 0; visit < 4; visit++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } }), page = await context.newPage();
    await page.goto(`${url}#device=cpu`, { waitUntil: "commit" });
    // A frame with a step in it is there, and the worker decodes what the pointer asks for.
    const time = await page.evaluate(async () => {
      for (;;) {
        const lab = document.querySelector(".lab")?.lab;
        if (lab?.last?.steps > 0) {
          await lab.client.ask("decode", { z: new Float32Array(2) });
          return performance.now();
        }
        await new Promise((done) => setTimeout(done, 10));
      }
    });
    times.push(Math.round(time));
    await context.close();
  }
  const shortest = Math.min(...times);
  check(shortest < LONGEST, `the page answers after ${times.join(", ")} ms`);
  console.log(`the page trains and answers after ${times.join(", ")} ms`);
}
