// Starts what serves pages, explore of a run and train --live, and uses both in a browser, wide and narrow, light and dark:
// see explore.mjs and live.mjs. Tells what goes wrong, as check.mjs does.
//
//   node served.mjs BROWSER FOLDER-OF-COMMANDS RUN FOLDER-FOR-RUNS [--shots FOLDER]
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { use } from "./explore.mjs";
import { watch } from "./live.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const words = process.argv.slice(2), at = words.indexOf("--shots");
const shots = at < 0 ? null : words.splice(at, 2)[1];
const [executablePath, commands, run, folder] = words;
let wrong = 0, seen = 0;

/** Starts a command, and answers with it and the address that it prints. */
async function start(name, ...flags) {
  const child = spawn(join(commands, name), flags, { env: { ...process.env, DISPLAY: "", WAYLAND_DISPLAY: "" }, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+\//.exec(line)?.[0];
    if (url) {
      child.stdout.resume();
      return [child, url];
    }
  }
  throw new Error(`${name} says no address`);
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
async function visit(name, url, act) {
  for (const [width, colorScheme] of [[1280, "light"], [380, "dark"], [1280, "dark"], [380, "light"]]) {
    const tell = (what) => {
      wrong += 1;
      console.error(`${name}, ${width} px, ${colorScheme}: ${what}`);
    };
    seen += 1;
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, acceptDownloads: true });
    const page = await context.newPage();
    page.listener = (message) => tell(`console: ${message.text()}`);
    page.on("console", page.listener);
    page.on("pageerror", (error) => tell(`error: ${error.message}`));
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) tell(`fetches ${request.url()}`);
    });
    try {
      await page.goto(url);
      await act(page, tell);
    } catch (error) {
      tell(error.message);
    }
    if (shots) await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) tell(`is ${wide} px wider than the window`);
    const { violations } = await page.evaluate(`(() => { ${axe} })(); globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
    for (const { id, help, nodes } of violations) tell(`${id}: ${help}: ${nodes[0].target} (${nodes.length})`);
    await context.close();
  }
}

const ended = (child) => new Promise((done) => child.once("exit", (code, signal) => done(code ?? signal)));
const [explorer, there] = await start("explore", run);
await visit("explore", there, use);
let end = ended(explorer);
explorer.kill("SIGINT");
const code = await end;
if (code !== 0) {
  wrong += 1;
  console.error(`explore ended with ${code}`);
}
const flags = ["--live", "--no-report", "--device", "cpu", "--limit", "4096", "--set", "model.kind=dense", "--set", "train.epochs=5000"];
const [training, live] = await start("train", ...flags, "--out", join(folder, "live"));
end = ended(training);
await visit("live", live, watch);
training.kill("SIGINT");
await end;
await browser.close();
console.log(`${seen} served pages, ${wrong} things wrong`);
process.exit(wrong ? 1 : 0);
