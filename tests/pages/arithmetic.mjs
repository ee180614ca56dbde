// Trains 50 steps in the page's worker, on the CPU and on WebGPU, and compares the losses with those of the native program.
//
//   node arithmetic.mjs BROWSER WEB_DIST FIFTY        FIFTY is what `cargo run -p web --example fifty_steps` printed
//
// Sums are added in another order on each device, and the differences grow with the steps. The first five losses may differ by 1e-4 of
// their value, all by 5e-3. Without the noise's seed they would differ by a tenth.
import { readFileSync } from "node:fs";
import { serve, WEBGPU } from "./static.mjs";
import { check, deadline, end, launch, words } from "./visit.mjs";

const { words: [executable, folder, fifty] } = words();
const [settings, expected] = readFileSync(fifty, "utf8").trim().split("\n").map((line) => JSON.parse(line));
deadline(900_000);
const server = await serve(folder, "/");
const browser = await launch(executable, WEBGPU);

/** The losses of the first steps on a device. */
async function losses(page, device, steps) {
  return page.evaluate(([settings, device, steps]) => new Promise((done, refuse) => {
    const worker = new Worker("./worker.js", { type: "module" }), found = [];
    let id = 0;
    const ask = (ask, more) => worker.postMessage({ id: ++id, ask, ...more });
    worker.onerror = (event) => refuse(new Error(event.message));
    worker.onmessage = ({ data }) => {
      if (data.error) refuse(new Error(data.error));
      if (data.event !== "frame") return;
      for (let i = 0; i < data.losses.length; i += 4) found[data.losses[i] - 1] = data.losses[i + 1];
      if (found.length < steps) return;
      worker.terminate();
      done({ found: found.slice(0, steps), kind: device });
    };
    ask("start", { settings, device });
    ask("watch", { every: 100, map: 0, mosaic: 0, reconstructions: 0, features: null });
    ask("run", { on: true });
  }), [settings, device, steps]);
}

for (const device of ["cpu", "webgpu"]) {
  const page = await browser.newPage();
  await page.route("**/blank", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>blank</title>" }));
  await page.goto(`http://127.0.0.1:${server.address().port}/blank`);
  try {
    const { found } = await losses(page, device, expected.length);
    for (const [step, loss] of expected.entries()) {
      const off = Math.abs(found[step] - loss) / loss, most = step < 5 ? 1e-4 : 5e-3;
      check(off <= most, `${device}: step ${step + 1}: ${found[step]} in the page, ${loss} natively`);
    }
    const worst = Math.max(...expected.map((loss, step) => Math.abs(found[step] - loss) / loss));
    console.log(`${device}: the losses of ${expected.length} steps differ from the native ones by ${worst.toExponential(1)} at most`);
  } catch (error) {
    check(false, `${device}: ${error.message.split("\n")[0]}`);
  }
  await page.close();
}
await browser.close();
server.close();
end("the page's arithmetic");
