// Own pictures to train on. The browser decodes them; they become grey, square and 28 × 28 here, in the page, and go nowhere else.
// A folder's sub-folders are classes.
import { count, make } from "./dom.js";

const SIDE = 28;
const LEAST = 24; // pictures: fewer cannot be divided into training, validation and test
const MOST = 20_000;

/** Asks for pictures, by a dialog with a place to drop them. `dropped` are those that came already: see `entriesOf`. */
export function choosePictures(lab, dropped = []) {
  const line = make("p", { role: "status" }), input = (properties, words) => {
    const file = make("input", { type: "file", multiple: true, ...properties });
    file.addEventListener("change", () => take([...file.files].map((one) => ({ file: one, folder: one.webkitRelativePath.split("/").at(-2) ?? "" }))));
    return make("label", { className: "row" }, words, file);
  };
  const close = make("button", { type: "button" }, "Close");
  const drop = make("div", { className: "drop" }, make("p", {}, "Drop pictures or a folder here."),
    input({ accept: "image/*" }, "Choose pictures "), input({ webkitdirectory: true }, "Choose a folder "));
  const dialog = make("dialog", { className: "text", "aria-labelledby": "own-title" }, make("h2", { id: "own-title" }, "Train on your own pictures"),
    make("p", {}, `They are decoded by your browser, cut to a square, and made grey and ${SIDE} × ${SIDE} pixels. `, make("strong", {}, "They never leave this computer."), ` At least ${LEAST} are needed; some hundred are better. If they lie in folders, each folder is a class.`),
    drop, line, make("div", { className: "ends" }, close));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());

  let turn = 0; // a later choice, and closing the dialog, end the reading of an earlier one
  dialog.addEventListener("close", () => { turn += 1; });
  async function take(entries) {
    const mine = (turn += 1);
    try {
      const some = evenly(entries, MOST), of = some.length < entries.length ? `${count(some.length)}, evenly chosen from ${count(entries.length)}` : count(some.length);
      const pictures = await decodeAll(some, (done) => {
        if (mine === turn) line.textContent = `${count(done)} of ${of} files are read.`;
        return mine === turn;
      });
      if (mine !== turn) return;
      dialog.close();
      await lab.setPictures(pictures);
    } catch (error) {
      if (mine === turn) line.textContent = error.message;
    }
  }
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    drop.classList.remove("over");
    take(await entriesOf(event.dataTransfer));
  });
  document.body.append(dialog);
  dialog.showModal();
  if (dropped.length) take(dropped);
}

/** The files that were dropped, with the names of their folders. */
export async function entriesOf(transfer) {
  const found = [];
  const walk = async (entry, folder) => {
    if (entry.isFile) found.push({ file: await new Promise((done, no) => entry.file(done, no)), folder });
    if (!entry.isDirectory) return;
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, no) => reader.readEntries(done, no)); // a hundred at a time
      if (!some.length) return;
      for (const one of some) await walk(one, entry.name);
    }
  };
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, folder: "" }));
  for (const entry of entries) await walk(entry, "");
  return found;
}

/** At most `most` of these, from all of the list. */
const evenly = (all, most) => (all.length <= most ? all : Array.from({ length: most }, (_, k) => all[Math.floor((k * all.length) / most)]));

/** Decodes pictures to what `start` takes. Files that are no pictures are left out. `progress` returns whether to go on. */
async function decodeAll(entries, progress) {
  const canvas = make("canvas", { width: SIDE, height: SIDE }), context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  const pixels = [], folders = [];
  for (const [k, { file, folder }] of entries.entries()) {
    if (k % 20 === 0 && !progress(k)) return null;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      continue; // no picture, or a damaged one
    }
    const side = Math.min(bitmap.width, bitmap.height);
    context.fillStyle = "#000"; // what is transparent is black, the ground of the other data
    context.fillRect(0, 0, SIDE, SIDE);
    context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    bitmap.close();
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    pixels.push(Uint8Array.from({ length: SIDE * SIDE }, (_, i) => 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]));
    folders.push(folder);
  }
  if (pixels.length < LEAST) throw new Error(`${pixels.length} of ${entries.length} files are pictures that this browser can decode; at least ${LEAST} are needed.`);
  const names = [...new Set(folders)].sort(), all = new Uint8Array(pixels.length * SIDE * SIDE);
  pixels.forEach((one, k) => all.set(one, k * SIDE * SIDE));
  const labels = Uint8Array.from(folders, (folder) => Math.min(255, names.indexOf(folder)));
  return { pixels: all, labels, side: SIDE, names: names.map((name) => name || "pictures").slice(0, 256) };
}
