"use strict";
// The latent explorer. z is the one thing that everything sets and everything shows: `set` gives it new numbers, moves the
// sliders, marks the map and asks for the picture. The other files of this script encode and keep codes (codes.js), encode what a
// person draws (drawing.js) and show the map (map.js).
const FIRST = 12; // sliders before "all"
const IN_USE = 0.1; // nats: vae_core::predict::IN_USE
const $ = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
let about, z;
let picture = null; // the PNG that is shown
const sliders = new Map();

/** Asks the server, or in a static page the worker that answers in its place (server.js). */
async function ask(path, options) {
  const answer = await (globalThis.askWorker ?? fetch)(path, options).catch((error) => {
    throw error instanceof TypeError ? new Error("The explorer does not answer. Is it still running?") : error;
  });
  if (!answer.ok) throw new Error((await answer.text()) || `${path}: ${answer.status}`);
  return answer;
}
const askJson = (path, question) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(question) });

/** Runs what a person asked for; what goes wrong is told. */
async function act(work) {
  try {
    $("wrong").textContent = "";
    await work();
  } catch (error) {
    $("wrong").textContent = error.message;
  }
}

/** Returns a function that runs `work`, one run at a time. Calls during a run lead to one more run, so that a slider or a pen never
 * runs ahead of the model. */
function oneAtATime(work) {
  let busy = false, again = false;
  return async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await act(work);
    }
    busy = false;
  };
}

const told = () => Number($("told").value) || 0;

const decode = oneAtATime(async () => {
  const start = performance.now();
  picture = await (await askJson("/decode", { z, label: told() })).blob();
  const bitmap = await createImageBitmap(picture), canvas = $("shown");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  canvas.dataset.milliseconds = Math.round(performance.now() - start);
});

function set(numbers) {
  z = numbers.map((x) => Math.fround(x));
  for (const [dim, { input, output }] of sliders) {
    input.value = z[dim];
    output.textContent = z[dim].toFixed(2);
  }
  show();
}

/** Shows z; what was told of the last one is no longer so. */
function show() {
  $("status").textContent = "";
  paint();
  decode();
  refreshMosaic();
}

const name = (dim) => `z[${dim}]`;
const className = (label) => about.classes[label] ?? `label ${label}`;

function buildSliders() {
  about.latents.forEach(({ dim, kl, reach }, rank) => {
    const id = `slider-${dim}`;
    const input = make("input", { id, type: "range", min: -reach, max: reach, step: 0.01, value: 0 });
    // The slider tells its own number to those who cannot see it.
    const output = make("span", { textContent: "0.00", ariaHidden: "true" });
    input.addEventListener("input", () => {
      z[dim] = Number(input.value);
      output.textContent = z[dim].toFixed(2);
      show();
    });
    const label = make("label", { htmlFor: id, textContent: `${name(dim)} · ${kl.toFixed(2)} nats` });
    const row = make("div", { hidden: rank >= FIRST }, make("div", { className: "head" }, label, output), input);
    sliders.set(dim, { input, output, row });
    $("sliders").append(row);
  });
  $("used").textContent = `${about.latents.filter(({ kl }) => kl > IN_USE).length} of ${about.latents.length} latents are in use: they have a KL above ${IN_USE} nat.`;
  $("all").hidden = about.latents.length <= FIRST;
  $("all").textContent = `Show all ${about.latents.length} latents`;
  $("all").addEventListener("click", () => {
    for (const { row } of sliders.values()) row.hidden = false;
    $("all").setAttribute("aria-expanded", "true");
    $("all").hidden = true;
    sliders.get(about.latents[FIRST].dim).input.focus();
  });
}

$("zero").addEventListener("click", () => set(z.map(() => 0)));
$("draw").addEventListener("click", () => {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const drawn = about.draws[Math.floor(Math.random() * about.draws.length)];
  set(drawn ?? z.map(normal));
});
$("told").addEventListener("change", show);
$("copy").addEventListener("click", () => act(async () => {
  const text = JSON.stringify(z);
  // Browsers have no clipboard for pages that come over http from another computer.
  if (!navigator.clipboard) return prompt("This browser copies nothing for this page. Copy the text here:", text);
  await navigator.clipboard.writeText(text);
  $("status").textContent = `${z.length} numbers are copied.`;
}));
$("save").addEventListener("click", () => {
  if (!picture) return;
  const href = URL.createObjectURL(picture);
  make("a", { href, download: "decoded.png" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
});

// Begins when all files of the script have run.
addEventListener("DOMContentLoaded", () => act(async () => {
  about = await (await ask("/about")).json();
  document.title = `${about.title}: latent explorer`;
  $("title").textContent = about.title;
  $("draw").textContent = `Draw z from ${about.prior}`;
  $("words").textContent = about.words;
  z = about.latents.map(() => 0);
  buildSliders();
  for (const id of ["x", "y"]) {
    $(id).append(...about.latents.map(({ dim, kl }) =>
      make("option", { value: dim, textContent: `${name(dim)}, ${kl.toFixed(2)} nats` })));
  }
  $("y").selectedIndex = Math.min(1, about.latents.length - 1);
  $("place").max = about.images - 1;
  for (const id of ["test", "marks-words", "nearest-label"]) $(id).hidden = !about.images;
  $("no-images").hidden = about.images > 0;
  for (let label = 0; label < about.told; label++) $("told").append(make("option", { value: label, textContent: className(label) }));
  $("told-label").hidden = !about.told;
  prepareDrawing();
  set(z);
  document.body.dataset.ready = "";
  await loadMap();
}));
