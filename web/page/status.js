// The line under the controls: which device computes, why not the other, how fast, and how far kernels are compiled. Also what is
// done with the weights.
import { count, digits, make } from "./dom.js";

const NAMES = { webgpu: "WebGPU", cpu: "CPU" };

export function status(lab) {
  const chip = make("strong", { className: "chip" }, "…"), why = make("span", { className: "why" });
  const speed = make("span", { className: "speed" }), size = make("span", { className: "size" });
  const progress = make("progress", { max: 1, "aria-label": "Kernels compiled", hidden: true });
  const words = make("span", { className: "words", role: "status" });
  const file = make("input", { type: "file", accept: ".safetensors", hidden: true, "aria-label": "A run of vae: best.safetensors or last.safetensors" });
  file.addEventListener("change", () => {
    if (file.files[0]) lab.load(file.files[0]);
    file.value = "";
  });
  const element = make("div", { className: "status" },
    chip, speed, why, words, progress,
    make("span", { className: "weights" },
      size,
      make("button", { type: "button", className: "link", on: { click: () => lab.explore() } }, "Explore"),
      make("button", { type: "button", className: "link", on: { click: () => lab.save() } }, "Download the weights"),
      make("button", { type: "button", className: "link", on: { click: () => file.click() } }, "Load a run"), file));
  let slow;
  // As long as there is nothing to see, the words stand where the eye is, too.
  const tell = (text) => {
    words.textContent = text;
    lab.map.wait(lab.last ? "" : text);
  };
  return {
    element,
    busy(text) {
      // A start of a fraction of a second needs no words; they would only flicker.
      clearTimeout(slow);
      slow = setTimeout(() => tell(text), lab.about ? 250 : 0);
    },
    compiling(done, total) {
      clearTimeout(slow);
      const over = done >= total;
      Object.assign(progress, { hidden: over, max: Math.max(1, total), value: done });
      tell(over ? "Drawing the first pictures …" : `Compiling kernels for the GPU: ${done} of ${total}`);
    },
    ready() {
      clearTimeout(slow);
      progress.hidden = true;
      tell("");
    },
    about({ device, parameters, images }) {
      chip.textContent = NAMES[device.kind] ?? device.kind;
      chip.title = device.name;
      why.textContent = device.note;
      why.title = device.note;
      size.textContent = `${count(parameters)} parameters · ${count(images.train)} images`;
      speed.textContent = "";
    },
    frame({ steps_per_second: steps, images_per_second: images }) {
      speed.textContent = steps > 0 ? `${digits(steps, 2)} steps/s · ${count(Number(images.toPrecision(2)))} images/s` : "";
    },
  };
}
