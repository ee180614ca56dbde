// The checks that all pages must pass. A page is opened in a wide and a narrow window, with a light and a dark theme, and used.
// The checks then look for console messages, requests to other servers, content wider than the window, images that do not
// load, and violations of WCAG 2.2 AA and of axe's best practices. A visit that takes too long fails.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
export const LOOKS = [[1280, "light"], [380, "dark"], [1280, "dark"], [380, "light"]];
const LONGEST = 60_000; // milliseconds per visit
const ALL = 300_000; // milliseconds for all visits

/** Returns the arguments of the command line. `--shots FOLDER` is the folder for screenshots. */
export function words() {
  const words = process.argv.slice(2), at = words.indexOf("--shots");
  return { shots: at < 0 ? null : words.splice(at, 2)[1], words };
}

let checks = 0, wrong = 0;
/** Counts a check, and prints `what` if it fails. */
export function check(good, what) {
  checks += 1;
  if (good) return;
  wrong += 1;
  console.error(what);
}

/** Prints the number of checks and ends the process. */
export function end(what) {
  console.log(`${what}: ${checks} checks, ${wrong} things wrong`);
  process.exit(wrong || !checks ? 1 : 0);
}

// Signals end this process, and with it the browser.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** Ends this process with an error after `longest` milliseconds. */
export function deadline(longest = ALL) {
  setTimeout(() => {
    console.error(`the pages took longer than ${longest / 1000} s`);
    process.exit(1);
  }, longest).unref();
}

/** Opens a browser with further arguments. */
export function launch(executablePath, args = []) {
  return chromium.launch({ executablePath, args: ["--no-sandbox", ...args], handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false });
}

/** Opens a browser. Returns a function that opens the page `name` at `url`, calls `act(page, expect, isLast)` and checks the page. */
export async function browse(executablePath, shots) {
  deadline();
  const browser = await launch(executablePath);
  return async (name, url, act) => {
    for (const [place, [width, colorScheme]] of LOOKS.entries()) {
      let checked = "", stage = "opens";
      const expect = (good, what) => {
        checked = what;
        check(good, `${name}, ${width} px, ${colorScheme}: ${what}`);
      };
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      const shot = shots && join(shots, `${name}-${width}-${colorScheme}.png`);
      let timer;
      const late = new Promise((_, refuse) => (timer = setTimeout(() => refuse(new Error(`hangs: ${LONGEST / 1000} s; it ${stage}, and the last check was "${checked}"`)), LONGEST)));
      try {
        await Promise.race([visit(context, url, act, place === LOOKS.length - 1, shot, expect, (now) => (stage = now)), late]);
      } catch (error) {
        expect(false, error.message);
      }
      clearTimeout(timer);
      await Promise.race([context.close(), new Promise((done) => setTimeout(done, 5_000))]);
    }
  };
}

async function visit(context, url, act, isLast, shot, expect, enters) {
  const page = await context.newPage(), said = [], fetched = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  const ours = new URL(url).protocol === "file:" ? "file:" : url;
  page.on("request", (request) => {
    if (![ours, "data:", "blob:"].some((start) => request.url().startsWith(start))) fetched.push(request.url());
  });
  await page.goto(url);
  enters("is used");
  // `act` returns a pattern of the console messages that it has provoked.
  const excused = await act(page, expect, isLast);
  enters("is looked at");
  await page.evaluate(() => scrollTo(0, 0));
  await page.mouse.move(0, 0);
  if (shot) await page.screenshot({ path: shot, fullPage: true });
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  await audit(page, expect);
  const loud = said.filter((words) => !excused?.test(words));
  expect(!loud.length, `says ${loud.join("; ")}`);
  expect(!fetched.length, `fetches ${fetched}`);
}

/** Looks for content wider than the window, images that do not show, and violations that axe finds. */
export async function audit(page, expect) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide <= 0, `is ${wide} px wider than the window`);
  const broken = await page.evaluate(async () => {
    const images = [...document.images].filter((image) => image.checkVisibility());
    await Promise.all(images.map((image) => ((image.loading = "eager"), image.decode().catch(() => {}))));
    return images.filter((image) => !image.naturalWidth).map((image) => image.alt);
  });
  expect(!broken.length, `images do not show: ${broken}`);
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate((runOnly) => globalThis.axe.run({ runOnly }), RULES);
  for (const { id, help, nodes } of violations) expect(false, `${id}: ${help}: ${nodes[0].target} (${nodes.length})`);
  expect(passes.length > 10, `axe has looked at ${passes.length} rules only`);
}
