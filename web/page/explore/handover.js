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

/** Keeps a checkpoint for the explorer. */
export const handOver = (name, bytes) => transaction("readwrite", (store) => store.put({ name, bytes }, "model"));

/** The checkpoint that was handed over last. */
export async function handedOver() {
  const model = await transaction("readonly", (store) => store.get("model"));
  if (!model) throw new Error("no model was handed over: train one on the page before, and choose Explore there");
  return model;
}
