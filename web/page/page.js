// The page: one model, or two side by side, and what belongs to all of it: the link to share, the experiments, working offline.
import { lacks } from "./client.js";
import { Coach } from "./coach.js";
import { calm, make } from "./dom.js";
import { EXPERIMENTS } from "./experiments.js";
import { explain, sourceLink } from "./how.js";
import { Lab } from "./lab.js";
import { choosePictures, entriesOf } from "./pictures.js";
import { FEWER, FRAMES, readAddress, writeAddress } from "./settings.js";

const $ = (id) => document.getElementById(id);
const main = $("main"), labs = {};
let writing;

const frames = () => (labs.b || innerWidth < 700 ? FEWER : FRAMES);

/** Writes the settings into the address, so that the page can be shared and loaded again. Rarely: browsers limit how often. */
function changed() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const words = writeAddress(labs.a.settings, labs.b?.settings);
    if (words !== location.hash.slice(1)) history.replaceState(null, "", words ? `#${words}` : location.pathname + location.search);
  }, 300);
  const differ = labs.b ? Object.keys(labs.a.settings).filter((key) => labs.a.settings[key] !== labs.b.settings[key]) : [];
  for (const [name, lab] of Object.entries(labs)) {
    const words = differ.map((key) => `${key} = ${lab.settings[key]}`).join(", ");
    const title = lab.element?.querySelector(".name");
    if (title) title.textContent = `Model ${name.toUpperCase()}${labs.b ? `: ${words || "the same settings so far"}` : ""}`;
  }
}

function add(name, settings) {
  const lab = new Lab(name, settings, { ...frames() }, changed);
  labs[name] = lab;
  main.append(lab.element);
  lab.controls.show();
  changed();
  lab.start("Loading the engine …");
  return lab;
}

/** Shows a second model beside the first, or ends it. */
export function compare(on, settings) {
  if (on === Boolean(labs.b)) return;
  $("compare").setAttribute("aria-pressed", String(on));
  $("compare").textContent = on ? "End comparison" : "Compare two";
  document.body.classList.toggle("two", on);
  if (on) {
    const own = labs.a.settings["data.kind"] === "own";
    const lab = add("b", { ...(settings ?? labs.a.settings), ...(own ? { "data.kind": "digits" } : {}) });
    if (own && labs.a.own) lab.own = structuredClone(labs.a.own);
    if (own && lab.own) lab.set({ "data.kind": "own" });
  } else {
    labs.b.end();
    delete labs.b;
  }
  labs.a.frames = { ...frames() };
  labs.a.watch(frames()).catch(() => {});
  changed();
}

export function say(text) {
  $("said").textContent = text;
  $("said").classList.add("shown");
  clearTimeout(say.fades);
  say.fades = setTimeout(() => $("said").classList.remove("shown"), 6000);
}

async function share() {
  clearTimeout(writing);
  const words = writeAddress(labs.a.settings, labs.b?.settings), address = `${location.href.split("#")[0]}${words ? `#${words}` : ""}`;
  const own = labs.a.settings["data.kind"] === "own" ? " It does not hold your pictures." : "";
  try {
    await navigator.clipboard.writeText(address);
    say(`The link is copied. It holds the settings, not the weights.${own}`);
  } catch {
    const field = make("input", { type: "text", readOnly: true, value: address, "aria-label": "Link", className: "wide" });
    explain("Link to these settings", [make("p", {}, `Copy this address. It holds the settings, not the weights.${own}`), field]);
    field.select();
  }
}

function about() {
  const device = labs.a.about?.device;
  explain("About this page", [
    make("p", {}, "A variational autoencoder (VAE) learns two networks at once. The encoder turns an image into a Gaussian over a few numbers z, the latents. The decoder turns a z into an image. Trained together, they leave a map of the data, and every point of the map decodes to an image."),
    make("p", {}, "Everything is computed in this browser, by a tensor library with its own gradients and GPU kernels, written in Rust and compiled to WebAssembly. The page sends nothing anywhere, and works without a network once it is loaded."),
    make("p", {}, device ? `Now it computes on ${device.kind === "webgpu" ? "WebGPU" : "the CPU"} (${device.name}). ${device.note}` : "No model is running now."),
    make("p", {}, "Keyboard: Tab reaches everything. On the map, arrow keys move a probe, Shift moves it further, Enter sends the nearest test image through the network. On the pad, arrow keys move the pen, Space lowers it."),
    make("p", { className: "source" }, "The networks and losses are those of ", sourceLink("vae/core/src/model/mod.rs"), " and ", sourceLink("vae/core/src/objective/mod.rs"), "; the page's side is ", sourceLink("web/page/lab.js"), "."),
  ]);
}

function begin() {
  const lacking = lacks();
  if (lacking) {
    $("boot").className = "boot failed";
    $("boot").textContent = `${lacking} The commands \`train\` and \`vae explore\` do the same without a browser's help.`;
    for (const id of ["experiments", "compare", "share", "about"]) $(id).disabled = true;
    return;
  }
  const state = readAddress(location.hash);
  $("boot").remove();
  add("a", state.a);
  if (state.compare) compare(true, state.b);
  const coach = new Coach($("coach"), () => labs, compare);
  $("experiments").addEventListener("click", () => coach.choose());
  $("compare").addEventListener("click", () => compare(!labs.b));
  $("share").addEventListener("click", share);
  $("about").addEventListener("click", about);
  const asked = EXPERIMENTS.find(({ id }) => id === state.experiment);
  if (asked) coach.begin(asked);
  main.classList.toggle("calm", calm());

  // A link to other settings that is opened in this tab.
  addEventListener("hashchange", () => {
    const next = readAddress(location.hash);
    if (!next.compare) compare(false);
    labs.a.set(next.a);
    if (next.compare && labs.b) labs.b.set(next.b);
    else if (next.compare) compare(true, next.b);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    const lab = event.target.closest?.("[data-lab=b]") ? labs.b : labs.a, entries = await entriesOf(event.dataTransfer);
    const run = entries.find(({ file }) => file.name.endsWith(".safetensors"));
    if (run) lab.load(run.file);
    else if (entries.length) choosePictures(lab, entries);
  });
}

begin();
// Works without a network once loaded: see offline.js. Some browsers forbid service workers, for example in private windows; then the
// page is loaded each time, and nothing else changes.
navigator.serviceWorker?.register("offline.js").catch(() => {});
