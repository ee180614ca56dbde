// The bar of controls of one model: run, step, restart, β, and the lists of settings.js.
import { digits, make } from "./dom.js";
import { choosePictures } from "./pictures.js";
import { BETA_SLIDER, LISTS, WIDTHS, betaAt, keyOf, placeOfBeta } from "./settings.js";
import { icon } from "./icons.js";

export function controls(lab) {
  const id = (key) => `${lab.name}-${key.replace(".", "-")}`;
  const run = make("button", { type: "button", className: "run", on: { click: () => lab.setRunning(!lab.running) } });
  const step = make("button", { type: "button", className: "round", title: "Train one batch, and follow it step by step", "aria-label": "Single step: follow one batch", on: { click: () => lab.step() } }, icon("step"));
  const restart = make("button", { type: "button", className: "round", title: "Begin anew from the first weights", "aria-label": "Begin anew from the first weights", on: { click: () => { lab.run = null; lab.start(); } } }, icon("restart"));
  const epoch = make("span", { className: "epoch", role: "group", "aria-label": "Epoch" }, "0.0");

  const beta = make("input", { type: "range", id: id("beta"), className: "beta", ...BETA_SLIDER });
  const shown = make("output", { htmlFor: id("beta"), className: "value" });
  beta.addEventListener("input", () => lab.set({ "loss.beta": betaAt(Number(beta.value)) }));
  const ticks = ["0", "0.1", "1", "10", "100"].map((at) => {
    const tick = make("span", {}, at);
    tick.style.left = `${(100 * (placeOfBeta(at) - BETA_SLIDER.min)) / (BETA_SLIDER.max - BETA_SLIDER.min)}%`;
    return tick;
  });

  const lists = new Map();
  const fields = LISTS.map(({ key, label }) => {
    const list = make("select", { id: id(key), data: { key } });
    list.addEventListener("change", () => choose(key, list.value));
    lists.set(key, list);
    return make("div", { className: "field" }, make("label", { htmlFor: id(key) }, label), list);
  });

  function choose(key, value) {
    if (key === "data.kind" && value === "own") {
      show(); // the list shows the present data until there are pictures
      return choosePictures(lab);
    }
    const settings = { [keyOf(key, lab.settings)]: value };
    // Each kind of model has its own sizes; each kind of loss its own output.
    lab.set(settings);
  }

  /** The values of a list, and the present one if it is not among them, as that of a loaded run may be. */
  function fill(list, values, present) {
    const all = values.some(([value]) => value === present) ? values : [...values, [present, present.replaceAll(",", " · ")]];
    const wanted = JSON.stringify(all);
    if (list.dataset.values !== wanted) {
      list.dataset.values = wanted;
      list.replaceChildren(...all.map(([value, name]) => make("option", { value }, name)));
    }
    list.value = present;
  }

  function show() {
    const { settings } = lab;
    for (const { key, values } of LISTS) {
      const list = lists.get(key), present = settings[keyOf(key, settings)] ?? "";
      fill(list, key === "width" ? (WIDTHS[settings["model.kind"]] ?? WIDTHS.basic).values : values, present);
    }
    const value = settings["loss.beta"];
    if (document.activeElement !== beta || betaAt(Number(beta.value)) !== value) beta.value = placeOfBeta(value);
    shown.textContent = digits(Number(value), 2);
    beta.setAttribute("aria-valuetext", digits(Number(value), 2));
    beta.classList.toggle("odd", Number(value) < 0);
    run.replaceChildren(icon(lab.running ? "pause" : "run"), lab.running ? "Pause" : "Run");
    run.setAttribute("aria-label", lab.running ? "Pause the training" : "Run the training");
    lab.element?.classList.toggle("paused", !lab.running);
  }

  const more = make("details", { className: "more" }, make("summary", {}, "More settings"), make("div", { className: "fields" }, ...fields));
  // Wide windows show all lists at once; a phone opens them.
  const wide = matchMedia("(min-width: 48rem)");
  const unfold = () => { more.open = wide.matches; };
  wide.addEventListener("change", unfold);
  unfold();

  const element = make("div", { className: "bar", role: "group", "aria-label": "Controls" },
    make("div", { className: "go" }, run, step, restart, make("div", { className: "field count" }, make("span", { className: "label", "aria-hidden": "true" }, "Epoch"), epoch)),
    make("div", { className: "field betas" },
      make("label", { htmlFor: id("beta") }, make("span", {}, "β, the weight of the KL"), shown),
      beta, make("div", { className: "ticks", "aria-hidden": "true" }, ...ticks)),
    more);
  return {
    element,
    show,
    frame: ({ epoch: done, step: at, steps_per_epoch: all }) => { epoch.textContent = (done + (Number.isInteger(done) ? at / all : 0)).toFixed(1); },
    reset: () => { epoch.textContent = "0.0"; },
    end: () => wide.removeEventListener("change", unfold),
  };
}
