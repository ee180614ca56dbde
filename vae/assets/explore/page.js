"use strict";
// The latent explorer. z is the one thing that everything sets and everything shows: `set` gives it new numbers, moves the
// sliders, marks the map and asks for the picture. One picture is asked for at a time; what comes in between waits, the
// latest only, so that a slider never runs ahead of the model.
const FIRST = 12; // sliders before "all"
const IN_USE = 0.1; // nats: vae_core::predict::IN_USE
const MOST = 40; // kept codes
const $ = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
let about, z, map, at; // `at` is where the keyboard stands on the map
let picture = null; // the PNG that is shown
const sliders = new Map(), kept = [];

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()) || `${path}: ${answer.status}`);
  return answer;
}

/** Runs what a person asked for; what goes wrong is told. */
async function act(work) {
  try {
    $("wrong").textContent = "";
    await work();
  } catch (error) {
    $("wrong").textContent = error instanceof TypeError ? "The explorer does not answer. Is it still running?" : error.message;
  }
}

let busy = false, again = false;
async function decode() {
  again = true;
  if (busy) return;
  busy = true;
  while (again) {
    again = false;
    await act(async () => {
      const body = JSON.stringify({ z, label: Number($("told").value) || 0 });
      const start = performance.now();
      const answer = await ask("/decode", { method: "POST", headers: { "content-type": "application/json" }, body });
      picture = await answer.blob();
      const bitmap = await createImageBitmap(picture), canvas = $("shown");
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      canvas.dataset.milliseconds = Math.round(performance.now() - start);
    });
  }
  busy = false;
}

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
}

const name = (dim) => `z[${dim}]`;
const className = (label) => about.classes[label] ?? `label ${label}`;

function buildSliders() {
  about.latents.forEach(({ dim, kl, reach }, rank) => {
    const input = make("input", { type: "range", min: -reach, max: reach, step: 0.01, value: 0 });
    const output = make("output", { textContent: "0.00" });
    input.addEventListener("input", () => {
      z[dim] = Number(input.value);
      output.textContent = z[dim].toFixed(2);
      show();
    });
    const head = make("span", { className: "head" }, `${name(dim)} · ${kl.toFixed(2)} nats`, output);
    const label = make("label", { hidden: rank >= FIRST }, head, input);
    sliders.set(dim, { input, output, label });
    $("sliders").append(label);
  });
  $("used").textContent = `${about.latents.filter(({ kl }) => kl > IN_USE).length} of ${about.latents.length} latents are in use: they have a KL above ${IN_USE} nat.`;
  $("all").hidden = about.latents.length <= FIRST;
  $("all").textContent = `Show all ${about.latents.length} latents`;
  $("all").addEventListener("click", () => {
    for (const { label } of sliders.values()) label.hidden = false;
    $("all").setAttribute("aria-expanded", "true");
    $("all").hidden = true;
    sliders.get(about.latents[FIRST].dim).input.focus();
  });
}

// What is kept: codes with a picture, a weight and a sign.
function keep(code, words, src) {
  if (kept.length === MOST) throw new Error(`At most ${MOST} codes can be kept. Remove one first.`);
  kept.push({ z: [...code], words, src, weight: 1, negate: false });
  list();
}

function list() {
  $("kept").replaceChildren(...kept.map((one, i) => {
    const weight = make("input", { type: "number", step: 0.1, value: one.weight });
    weight.addEventListener("input", () => { one.weight = Number(weight.value) || 0; blend(); });
    const negate = make("input", { type: "checkbox", checked: one.negate });
    negate.addEventListener("change", () => { one.negate = negate.checked; blend(); });
    const show = make("button", { type: "button", textContent: "Show" });
    show.setAttribute("aria-label", `Show ${one.words}`);
    show.addEventListener("click", () => set(one.z));
    const drop = make("button", { type: "button", textContent: "✕" });
    drop.setAttribute("aria-label", `Remove ${one.words}`);
    drop.addEventListener("click", () => {
      kept.splice(i, 1);
      list();
      ($("kept").querySelector("button") ?? $("keep")).focus();
    });
    return make("li", {},
      make("strong", { textContent: `${i + 1}. ${one.words}` }),
      make("img", { src: one.src, alt: one.words }),
      make("label", {}, "weight", weight), make("label", {}, "negate", negate),
      make("div", { className: "row" }, show, drop));
  }));
  $("none").hidden = kept.length > 0;
  $("moves").hidden = kept.length < 2;
  for (const [id, otherwise] of [["from", kept.length - 2], ["to", kept.length - 1]]) {
    $(id).replaceChildren(...kept.map((one, i) => make("option", { value: i, textContent: `${i + 1}. ${one.words}` })));
    $(id).value = Math.max(otherwise, 0);
  }
  $("move").value = 0;
}

/** z = Σ weight · (±1) · z. */
function blend() {
  set(z.map((_, d) => kept.reduce((sum, one) => sum + one.weight * (one.negate ? -1 : 1) * one.z[d], 0)));
}

function move() {
  const [a, b] = [kept[$("from").value], kept[$("to").value]], t = Number($("move").value);
  set(z.map((_, d) => (1 - t) * a.z[d] + t * b.z[d]));
}

async function encoded(answer, words) {
  const code = await answer.json();
  if (about.told && code.label !== null) $("told").value = code.label;
  keep(code.z, words(code), code.picture);
  set(code.z);
  return code;
}

async function encodeTest(place) {
  $("place").value = place;
  const code = await encoded(await ask(`/image?place=${place}`), (code) => `test ${place}, ${className(code.label)}`);
  $("status").textContent = `Test image ${place} (${className(code.label)}) is encoded and kept.`;
}

async function encodeFile(file) {
  if (file.size > 10e6) throw new Error(`${file.name} is larger than 10 MB`);
  const answer = await ask(`/picture?label=${Number($("told").value) || 0}`, { method: "POST", body: file });
  await encoded(answer, () => file.name.slice(0, 40));
  $("status").textContent = `${file.name} is encoded and kept.`;
}

// The map.
const colour = (label) => getComputedStyle(document.documentElement).getPropertyValue(`--s${label % 8}`);
const dims = () => [Number($("x").value), Number($("y").value)];
const range = (k) => {
  const all = map.points.map((point) => point[k]).concat([-1, 1]);
  const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
};

async function loadMap() {
  const [x, y] = dims();
  map = await (await ask(`/map?x=${x}&y=${y}`)).json();
  map.range = [range(0), range(1)];
  at = null;
  const known = [...new Set(map.labels)].sort((a, b) => a - b);
  $("legend").replaceChildren(...known.slice(0, 24).map((label) => {
    const dot = make("span", { className: "key" });
    dot.style.borderColor = colour(label);
    if (label < 8) dot.style.background = colour(label); // the labels after the eight colours are rings
    return make("li", {}, dot, className(label));
  }));
  paint();
}

function paint() {
  if (!map) return;
  const canvas = $("map"), context = canvas.getContext("2d"), side = canvas.clientWidth, dots = Math.round(side * devicePixelRatio);
  if (canvas.width !== dots) canvas.width = canvas.height = dots;
  context.setTransform(dots / side, 0, 0, dots / side, 0, 0);
  const place = ([x, y]) => [x, y].map((v, k) => {
    const [low, high] = map.range[k], part = (v - low) / (high - low);
    return side * (k ? 1 - part : part);
  });
  context.clearRect(0, 0, side, side);
  const style = getComputedStyle(document.body);
  context.font = `13px ${style.fontFamily}`;
  context.lineWidth = 1;
  for (const k of [0, 1]) {
    const [low, high] = map.range[k], step = 2 ** Math.ceil(Math.log2((high - low) / 8));
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
      const along = place([v, v])[k];
      context.fillStyle = style.getPropertyValue("--soft");
      context.strokeStyle = style.getPropertyValue(v ? "--rule" : "--soft");
      context.beginPath();
      context.moveTo(...(k ? [0, along] : [along, 0]));
      context.lineTo(...(k ? [side, along] : [along, side]));
      context.stroke();
      if (along < side - 16) context.fillText(v, k ? 4 : along + 4, k ? along - 4 : side - 5);
    }
  }
  context.lineWidth = 1.5;
  map.points.forEach((point, i) => {
    const [x, y] = place(point), label = map.labels[i];
    context.beginPath();
    context.arc(x, y, 3.5, 0, 7);
    context.fillStyle = context.strokeStyle = map.colours?.[label] ?? ((map.colours ??= {})[label] = colour(label));
    if (label > 7) context.stroke();
    else context.fill();
  });
  const cross = (point, name, size) => {
    const [x, y] = place(point);
    for (const [width, shade] of [[6, "--paper"], [2.5, name]]) {
      context.lineWidth = width;
      context.strokeStyle = style.getPropertyValue(shade);
      context.beginPath();
      context.moveTo(x - size, y); context.lineTo(x + size, y);
      context.moveTo(x, y - size); context.lineTo(x, y + size);
      context.moveTo(x + size / 2, y); context.arc(x, y, size / 2, 0, 7);
      context.stroke();
    }
  };
  const [a, b] = dims();
  cross([z[a], z[b]], "--ink", 12);
  if (at) cross(at, "--link", 18);
}

async function take([x, y]) {
  const [a, b] = dims();
  if (!$("nearest").checked) {
    const point = [...z];
    [point[a], point[b]] = [x, y];
    set(point);
    $("status").textContent = `${name(a)} = ${x.toFixed(2)}, ${name(b)} = ${y.toFixed(2)}`;
    return;
  }
  if (!map.points.length) throw new Error("This run has no test images.");
  const far = (point) => (point[0] - x) ** 2 + (point[1] - y) ** 2;
  const place = map.points.reduce((best, point, i) => (far(point) < far(map.points[best]) ? i : best), 0);
  const code = await (await ask(`/image?place=${place}`)).json();
  if (about.told) $("told").value = code.label;
  set(code.z);
  $("status").textContent = `This is the code of test image ${place} (${className(code.label)}).`;
}

$("map").addEventListener("click", (event) => act(async () => {
  const box = $("map").getBoundingClientRect();
  const parts = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  await take(parts.map((part, k) => map.range[k][0] + part * (map.range[k][1] - map.range[k][0])));
}));
$("map").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  const [a, b] = dims();
  if (steps) {
    at = (at ?? [z[a], z[b]]).map((v, k) => {
      const [low, high] = map.range[k];
      return Math.min(high, Math.max(low, v + (steps[k] * (high - low)) / 50));
    });
    event.preventDefault();
    paint();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    act(() => take(at ?? [z[a], z[b]]));
  }
});
$("map").addEventListener("blur", () => {
  at = null; // the keyboard's place is gone with the keyboard
  paint();
});
for (const id of ["x", "y"]) $(id).addEventListener("change", () => act(loadMap));
$("from").addEventListener("change", move);
$("to").addEventListener("change", move);
$("move").addEventListener("input", move);
$("blend").addEventListener("click", blend);
$("zero").addEventListener("click", () => set(z.map(() => 0)));
$("draw").addEventListener("click", () => {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  set(z.map(normal));
});
$("told").addEventListener("change", decode);
$("test").addEventListener("submit", (event) => {
  event.preventDefault();
  act(() => encodeTest(Math.trunc(Number($("place").value)) || 0));
});
$("any").addEventListener("click", () => act(() => encodeTest(Math.floor(Math.random() * about.images))));
$("file").addEventListener("change", () => act(async () => {
  for (const file of $("file").files) await encodeFile(file);
  $("file").value = "";
}));
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", over);
    if (name === "drop") act(async () => {
      for (const file of event.dataTransfer.files) await encodeFile(file);
    });
  });
}
$("keep").addEventListener("click", () => act(async () => {
  keep(z, `kept z ${kept.length + 1}`, $("shown").toDataURL());
  $("status").textContent = "This z is kept.";
}));
$("copy").addEventListener("click", () => act(async () => {
  await navigator.clipboard.writeText(JSON.stringify(z));
  $("status").textContent = `${z.length} numbers are copied.`;
}));
$("save").addEventListener("click", () => {
  if (!picture) return;
  const href = URL.createObjectURL(picture);
  make("a", { href, download: "decoded.png" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
});
addEventListener("resize", paint);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => act(loadMap));

act(async () => {
  about = await (await ask("/about")).json();
  document.title = `${about.title}: latent explorer`;
  $("title").textContent = about.title;
  $("words").textContent = about.words;
  z = about.latents.map(() => 0);
  buildSliders();
  for (const id of ["x", "y"]) {
    $(id).append(...about.latents.map(({ dim, kl }) =>
      make("option", { value: dim, textContent: `${name(dim)}, ${kl.toFixed(2)} nats` })));
  }
  $("y").selectedIndex = Math.min(1, about.latents.length - 1);
  $("place").max = about.images - 1;
  for (let label = 0; label < about.told; label++) $("told").append(make("option", { value: label, textContent: className(label) }));
  $("told-label").hidden = !about.told;
  set(z);
  document.body.dataset.ready = "";
  await loadMap();
});
