// One model: its worker, its settings and its panels. Two of them stand side by side in a comparison.
import { handOver } from "./explore/handover.js";
import { Client } from "./client.js";
import { controls } from "./controls.js";
import { digits, download, make } from "./dom.js";
import { drawing } from "./drawing.js";
import { fault } from "./fault.js";
import { follow } from "./follow.js";
import { loss } from "./loss.js";
import { map } from "./map.js";
import { network } from "./network.js";
import { reconstructions } from "./reconstructions.js";
import { CHANGEABLE, DEFAULTS, forWorker, readToml } from "./settings.js";
import { status } from "./status.js";

export class Lab {
  /** `settings` are those of settings.js; `changed()` is called when they, or anything else worth sharing, have changed. */
  constructor(name, settings, frames, changed) {
    Object.assign(this, { name, settings, frames, changed });
    this.running = true; // what the visitor wants; the worker is told as soon as it can train
    this.about = null;
    this.last = null; // the last frame
    this.own = null; // own pictures, as `start` takes them
    this.run = null; // a checkpoint that was loaded
    this.watching = { dims: [0, 1], range: [[-3, 3], [-3, 3]], features: 0, ...frames };
    this.controls = controls(this);
    this.status = status(this);
    this.fault = fault(this);
    this.map = map(this);
    this.network = network(this);
    this.loss = loss(this);
    this.drawing = drawing(this);
    const pairs = reconstructions(this);
    this.panels = [this.controls, this.status, this.map, this.network, pairs, this.loss, this.drawing];
    this.flow = make("div", { className: "flow" }, this.map.element, this.network.encoder, this.network.decoder, this.network.ribbons);
    this.element = make("section", { className: "lab", "aria-label": `Model ${name.toUpperCase()}`, data: { lab: name } },
      make("div", { className: "inside" }, make("h2", { className: "name" }), this.controls.element, this.status.element, this.fault.element,
        this.flow, make("div", { className: "below" }, this.loss.element, pairs.element, this.drawing.element)));
    this.element.lab = this; // for the browser's console and for tests
  }

  /** Starts a model with the present settings. What was asked for while another model started is done afterwards, once. */
  async start(words = "Starting …") {
    if (this.ended) return;
    this.again = words;
    if (this.starting) return;
    this.starting = true;
    while (this.again && !this.ended) {
      const now = this.again;
      this.again = null;
      await this.#startOnce(now);
    }
    this.starting = false;
  }

  async #startOnce(words) {
    const before = this.client;
    this.failed = false;
    this.client ??= new Client((event) => this.#hear(event));
    this.status.busy(words);
    this.fault.clear();
    if (Number(this.settings["loss.beta"]) < 0) this.settings["loss.beta"] = DEFAULTS["loss.beta"]; // only `change` takes the wrong sign
    const asked = { settings: { ...this.settings }, own: this.own, run: this.run };
    const ask = { settings: this.run ? [] : forWorker(this.settings), device: this.settings.device };
    if (this.settings["data.kind"] === "own" && this.own) ask.pictures = this.own;
    if (this.run) ask.run = this.run.bytes;
    try {
      const about = await this.client.ask("start", ask);
      this.accepted = asked;
      this.#take(about, true);
      await this.watch();
      await this.#run();
      this.status.ready();
      if (this.notice) this.fault.note(this.notice);
      this.notice = null;
    } catch (error) {
      if (this.again || this.ended) return;
      if (this.failed) return; // the worker has said why
      await this.#refused(error, before);
    }
  }

  /** The worker refused to start a model, for example because a file is damaged. If there was a model before, the page returns to
   * that, or to its settings where the worker has given it up already. */
  async #refused(error, before) {
    const isSecond = this.notice;
    this.notice = null;
    if (!before || !this.accepted || isSecond) {
      this.run = null;
      this.status.ready();
      return this.fault.show(error.message, this.settings.device);
    }
    const { settings, own, run } = this.accepted;
    Object.assign(this, { own, run });
    Object.assign(this.settings, settings);
    this.#tell();
    try {
      await this.#run();
      this.status.ready();
      this.fault.note(error.message);
    } catch {
      if (this.ended) return;
      this.notice = error.message;
      this.again = "Starting again …";
    }
  }

  /** Tells the worker to run or to pause, as the visitor wants, who may change that before the worker answers. */
  async #run() {
    for (let told = null; told !== this.running && this.client;) {
      told = this.running;
      await this.client.ask("run", { on: told });
    }
  }

  #take(about, isNew) {
    this.about = about;
    this.element.dataset.device = about.device.kind;
    if (isNew && this.run) this.#adopt(readToml(about.toml));
    if (isNew) {
      const last = about.latents - 1;
      const { dims } = this.watching, known = dims.every((dim) => dim <= last);
      if (last < 2 || !known || dims[0] === dims[1]) this.watching.dims = [0, Math.min(1, last)]; // below three latents there is no choice
      this.watching.z = new Array(about.latents).fill(0);
      this.last = null;
      this.panels.forEach((panel) => panel.reset?.());
    }
    this.panels.forEach((panel) => panel.about?.(about));
    this.#tell();
  }

  // A loaded run brings its own settings, but neither the device nor files of images that this computer may not have.
  #adopt({ "data.kind": data, device: _, ...settings }) {
    Object.assign(this.settings, settings);
    if (["digits", "shapes"].includes(data)) this.settings["data.kind"] = data;
  }

  #tell() {
    this.controls.show();
    this.changed();
  }

  #hear(event) {
    if (event.event === "failed") {
      this.failed = true;
      this.client = null;
      this.status.ready();
      this.fault.show(event.error, this.about?.device.kind ?? this.settings.device);
    } else if (event.event === "compiling") {
      this.status.compiling(event.done, event.total);
    } else if (event.event === "frame" && this.about) {
      this.last = event;
      this.panels.forEach((panel) => panel.frame?.(event));
    }
  }

  /** Tells the worker what frames hold; `parts` replaces some of it. */
  async watch(parts = {}) {
    Object.assign(this.watching, parts);
    await this.client?.ask("watch", this.watching);
  }

  /** Changes settings. Those that a model in training cannot take start a new one. */
  async set(settings) {
    const changes = Object.entries(settings).filter(([key, value]) => this.settings[key] !== value);
    if (!changes.length) return;
    Object.assign(this.settings, settings);
    this.#tell();
    if (!this.client || this.failed || !this.accepted || changes.some(([key]) => !CHANGEABLE.includes(key))) {
      if (changes.some(([key]) => key !== "device" && !CHANGEABLE.includes(key))) this.run = null; // a loaded run has its own shape
      return this.start();
    }
    if (changes.some(([key]) => key === "loss.beta")) this.loss.markBeta(this.settings["loss.beta"]);
    return this.#change();
  }

  // One at a time, with the settings of then: a slider moves faster than the worker answers.
  async #change() {
    this.changing = (this.changing ?? 0) + 1;
    if (this.changing > 1) return;
    while (this.changing) {
      this.changing = 1;
      try {
        const about = await this.client.ask("change", { settings: CHANGEABLE.map((key) => `${key}=${this.settings[key]}`) });
        if (this.changing === 1) this.#take(about, false);
      } catch (error) {
        if (!this.failed && this.client) this.fault.note(error.message);
      }
      this.changing -= 1;
    }
  }

  async setRunning(on) {
    this.running = on;
    this.controls.show();
    try {
      if (!this.starting) await this.client?.ask("run", { on });
    } catch {
      // The worker has failed meanwhile, and that is on the screen.
    }
    this.network.show();
  }

  /** Trains one batch and shows what happened in it. */
  async step() {
    if (!this.client || this.failed || this.starting) return;
    await this.setRunning(false);
    try {
      const report = await this.client.ask("step");
      follow(this, report);
      await this.watch();
    } catch (error) {
      if (!this.failed) this.fault.note(error.message);
    }
  }

  /** The checkpoint of the model as it is now. */
  async #checkpoint() {
    if (!this.client || this.failed || !this.about) throw new Error("no model is running, so there is nothing to save");
    return this.client.ask("save");
  }

  async save() {
    try {
      const { bytes, name } = await this.#checkpoint();
      download(bytes, name);
      this.fault.note(`${name} is saved, ${digits(bytes.length / 1e6, 2)} MB. “Load a run” reads it, \`vae info\` describes it, and \`train --set model.init=${name}\` begins with its weights.`, true);
    } catch (error) {
      this.fault.note(error.message);
    }
  }

  /** Opens the model, as it is now, in the latent explorer. */
  async explore() {
    const tab = open("about:blank", "_blank"); // at once: browsers open no window later than the click
    try {
      const { bytes } = await this.#checkpoint();
      const key = await handOver(`model ${this.name.toUpperCase()}`, bytes);
      if (tab) tab.location = new URL(`explore/#${key}`, location.href);
      else this.fault.note("The browser opened no new tab for the explorer: allow this page to open one.");
    } catch (error) {
      tab?.close();
      this.fault.note(error.message);
    }
  }

  /** Loads a checkpoint of `vae`. */
  async load(file) {
    if (file.size > 500e6) return this.fault.note(`${file.name} is larger than 500 MB, which is more than a browser can train.`);
    this.run = { bytes: await file.arrayBuffer(), name: file.name };
    await this.start(`Loading ${file.name} …`);
  }

  /** Trains on pictures of the visitor's: see pictures.js. */
  async setPictures(pictures) {
    this.own = pictures;
    this.run = null;
    this.settings["data.kind"] = "own";
    this.#tell();
    await this.start("Reading the pictures …");
  }

  /** Begins anew after a failure, with a new worker. */
  async restart(device) {
    this.client?.end();
    this.client = null;
    this.about = this.accepted = null;
    this.settings.device = device;
    this.#tell();
    await this.start();
  }

  /** Begins anew with the settings with which the page opens. */
  resetSettings() {
    Object.assign(this.settings, DEFAULTS);
    this.run = null;
    return this.restart(DEFAULTS.device);
  }

  end() {
    this.ended = true;
    this.again = null;
    this.client?.end();
    this.client = null;
    this.panels.forEach((panel) => panel.end?.());
    this.element.remove();
  }
}
