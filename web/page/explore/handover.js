// Hands a model from the training page to the explorer, through this browser's own database. Nothing leaves the computer.
const STORE = "models";

function database() {
  return new Promise((done, refuse) => {
    const request = indexedDB.open("vae", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => done(request.result);
    request.onerror = () => refuse(new Error("this browser does not keep data for this page, so the model cannot be handed over"));
  });
}

async function transaction(mode, work) {
  const opened = await database();
  return new Promise((done, refuse) => {
    const request = work(opened.transaction(STORE, mode).objectStore(STORE));
    request.onsuccess = () => done(request.result);
    request.onerror = () => refuse(new Error("this browser refused to keep the model"));
  });
}

const KEPT = 8; // models; the oldest make room

/** Keeps a checkpoint for the explorer, and returns the key under which it finds it. */
export async function handOver(name, bytes) {
  const key = String(Date.now()), keys = await transaction("readonly", (store) => store.getAllKeys());
  for (const old of keys.sort().slice(0, Math.max(0, keys.length + 1 - KEPT))) await transaction("readwrite", (store) => store.delete(old));
  await transaction("readwrite", (store) => store.put({ name, bytes }, key));
  return key;
}

/** The checkpoint that was handed over under this key. */
export async function handedOver(key) {
  const model = key && (await transaction("readonly", (store) => store.get(key)));
  if (!model) throw new Error("this model is not kept any more: train one on the page, and choose Explore there");
  return model;
}
