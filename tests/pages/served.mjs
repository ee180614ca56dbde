// Starts the servers (`vae explore` with a run, and `train --live`) and uses their pages in a browser: see explore.mjs, live.mjs
// and visit.mjs.
//
//   node served.mjs BROWSER FOLDER-OF-COMMANDS RUN FOLDER-FOR-RUNS [--shots FOLDER]
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { use } from "./explore.mjs";
import { map, part, watch } from "./live.mjs";
import { browse, check, end, words } from "./visit.mjs";

const { shots, words: [browser, commands, run, folder] } = words();
const TINY = ["--device", "cpu", "--limit", "2048", "--set", "model.kind=dense", "--set", "train.epochs=5000"];

/** Starts a command: the address that it prints, what interrupts it, and what waits until it ends as it should. */
async function start(name, ...flags) {
  const env = { ...process.env, DISPLAY: "", WAYLAND_DISPLAY: "" }; // without a display it opens no browser itself
  const child = spawn(join(commands, name), flags, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (words) => (said += words));
  process.on("exit", () => child.kill("SIGKILL"));
  const ended = new Promise((done) => child.once("exit", (code, signal) => done(code ?? signal)));
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+\//.exec(line)?.[0];
    if (!url) continue;
    child.stdout.resume();
    const interrupt = () => child.killed || child.kill("SIGINT"); // a second signal would end it at once
    const ends = async (code) => {
      interrupt();
      const late = new Promise((done) => setTimeout(done, 20_000, "not at all"));
      const how = await Promise.race([ended, late]);
      check(how === code, `${name} ended ${how}, not ${code}: ${said}`);
    };
    return { url, interrupt, ends };
  }
  throw new Error(`${name} says no address: ${said}`);
}

const visit = await browse(browser, shots);
const explorer = await start("vae", "explore", run);
await visit("explore", explorer.url, use);
await explorer.ends(0);

const training = await start("train", "--live", "--no-report", ...TINY, "--out", join(folder, "live"));
await visit("live", training.url, async (page, expect, isLast) => {
  await watch(page, expect);
  if (isLast) await part(page, expect, training.interrupt);
});
await training.ends(130);

const two = await start("train", "--live", "--no-report", ...TINY, "--set", "model.z_dim=2", "--out", join(folder, "two-live"));
await visit("live-map", two.url, map);
two.interrupt();
await two.ends(130);
end("3 served pages");
