// Owns the model of a static explorer and answers the requests of its page. The model is a checkpoint beside the page, or the one that
// the training page has handed over.
import { handedOver } from "./handover.js";

const query = new URLSearchParams(location.search);
const engine = new URL(query.get("engine"), location.href);

globalThis.panicked = (message) => postMessage({ fatal: `the engine has stopped: ${message}` });

async function file(path) {
  const answer = await fetch(new URL(path, location.href));
  if (!answer.ok) throw new Error(`${path} is missing: export the page again`);
  return answer;
}

async function open() {
  const { default: init, LatentExplorer } = await import(new URL("web.js", engine));
  await init({ module_or_path: new URL("web_bg.wasm", engine) });
  const run = query.get("run");
  if (!run) {
    const { name, bytes } = await handedOver(query.get("model"));
    return LatentExplorer.open(name, bytes, null);
  }
  const about = await (await file(`${run}run.json`)).json();
  const bytes = async (name) => new Uint8Array(await (await file(run + name)).arrayBuffer());
  const images = about.labels.length ? { ...about, pixels: await bytes("images.bin") } : null;
  return LatentExplorer.open(about.name, await bytes("checkpoint.safetensors"), images);
}

const opened = open();
opened.catch((error) => postMessage({ fatal: error.message }));

onmessage = async ({ data: { id, path, bytes } }) => {
  try {
    const body = (await opened).answer(path, bytes);
    postMessage({ id, body });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};
