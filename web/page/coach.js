// Guided experiments. Each step sets the controls itself, says what to look at and marks it. The settings of a step are complete, so
// that going back works too.
import { make } from "./dom.js";
import { EXPERIMENTS } from "./experiments.js";
import { DEFAULTS } from "./settings.js";

const LOOK = { map: ".latent", loss: ".loss", copies: ".rebuilt", encoder: ".encoder", posterior: ".posterior", beta: ".betas", fault: ".fault" };

export class Coach {
  /** `labs()` are the models, `compare(on, settings)` shows or ends the second. */
  constructor(element, labs, compare) {
    Object.assign(this, { element, labs, compare });
  }

  /** Asks which experiment. */
  choose() {
    const close = make("button", { type: "button" }, "Close");
    const cards = EXPERIMENTS.map((one) => make("li", {}, make("button", {
      type: "button", className: "card",
      on: { click: () => { dialog.close(); this.begin(one); } },
    }, make("strong", {}, one.title), make("span", {}, one.about))));
    const dialog = make("dialog", { className: "text wide", "aria-labelledby": "choose-title" },
      make("h2", { id: "choose-title" }, "Five guided experiments"),
      make("p", {}, "Each takes a few minutes. It sets the controls by itself and says what to look at. You can change anything on the way."),
      make("ol", { className: "cards" }, ...cards), make("div", { className: "ends" }, close));
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  begin(experiment) {
    this.experiment = experiment;
    this.show(0);
  }

  show(place) {
    const { title, steps, id } = this.experiment, step = steps[place];
    this.#apply(step);
    const go = (name, to, className = "") => make("button", { type: "button", className, disabled: !steps[to], on: { click: () => this.show(to) } }, name);
    const last = place === steps.length - 1;
    const end = make("button", { type: "button", className: last ? "primary" : "", on: { click: () => this.end() } }, last ? "Finish" : "Leave");
    const text = make("p", { className: "told", tabIndex: -1 }, ...step.text.split(/(\*[^*]+\*)/).map((part) => (part.startsWith("*") ? make("strong", {}, part.slice(1, -1)) : part)));
    this.element.replaceChildren(
      make("div", { className: "head" }, make("h2", {}, title), make("span", { className: "soft" }, `${place + 1} of ${steps.length}`)),
      text,
      make("div", { className: "ends" }, go("Back", place - 1), ...(last ? [] : [go("Next", place + 1, "primary")]), end));
    this.element.hidden = false;
    this.element.dataset.experiment = id;
    this.element.dataset.step = place;
    document.body.classList.add("coached");
    text.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  #apply({ set = {}, second, fresh, look = [] }) {
    const { a } = this.labs(), device = a.settings.device;
    const wanted = { ...DEFAULTS, device, ...set };
    const rebuilt = fresh || a.failed || a.run || Object.keys(wanted).some((key) => a.settings[key] !== wanted[key] && !["loss.beta", "train.learning_rate"].includes(key));
    if (!a.running) a.setRunning(true);
    if (rebuilt) {
      Object.assign(a.settings, wanted);
      a.run = a.own = null;
      a.controls.show();
      a.changed();
      a.start();
    } else a.set(wanted);
    this.compare(false);
    if (second) this.compare(true, { ...wanted, ...second });
    for (const marked of document.querySelectorAll(".look")) marked.classList.remove("look");
    for (const name of look) for (const panel of document.querySelectorAll(LOOK[name])) panel.classList.add("look");
  }

  end() {
    for (const marked of document.querySelectorAll(".look")) marked.classList.remove("look");
    document.body.classList.remove("coached");
    this.element.hidden = true;
    delete this.element.dataset.experiment;
    const { a } = this.labs();
    if (Number(a.settings["loss.beta"]) < 0) a.restart(a.settings.device);
    document.getElementById("experiments").focus();
  }
}
