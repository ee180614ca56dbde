// What can be set, and with which values the page opens. Names are the keys of docs/configuration.md. A state is a plain object
// `{key: "value"}`; the part that differs from DEFAULTS is written after the # of the address.

/** The settings with which the page opens. Numbers that decide the speed are here and in FRAMES, and nowhere else. */
export const DEFAULTS = {
  device: "auto",
  "data.kind": "digits",
  "data.image_size": "28",
  "model.kind": "basic",
  "model.widths": "8,16",
  "model.hidden": "128",
  "model.z_dim": "2",
  "model.output": "sigmoid",
  "loss.reconstruction": "bce",
  "loss.variance": "learned",
  "loss.sigma": "0.3",
  "loss.beta": "1",
  "train.learning_rate": "0.002",
  "train.batch_size": "64",
  seed: "1",
};

/** What a frame holds and how often one comes, see `watch` in protocol.md. Two models side by side, or small screens, take less. */
export const FRAMES = { every: 250, map: 600, mosaic: 12, reconstructions: 20 };
export const FEWER = { every: 400, map: 400, mosaic: 10, reconstructions: 20 };

/** The lists in the bar of controls: the key, its label, and its values with their names. */
export const LISTS = [
  { key: "data.kind", label: "Data", values: [["digits", "Digits"], ["shapes", "Shapes"], ["own", "Own pictures…"]] },
  { key: "model.kind", label: "Model", values: [["basic", "Convolutional"], ["dense", "Dense"]] },
  { key: "width", label: "Width", values: [] }, // WIDTHS of the kind of model
  { key: "model.z_dim", label: "Latents", values: [2, 3, 4, 8, 16, 32].map((n) => [String(n), String(n)]) },
  {
    key: "loss.reconstruction",
    label: "Loss",
    values: [["bce", "Cross-entropy"], ["sse", "Squared error"], ["gaussian", "Gaussian, learned σ"]],
  },
  {
    key: "train.learning_rate",
    label: "Learning rate",
    values: ["0.0001", "0.0003", "0.001", "0.002", "0.005", "0.01", "0.03"].map((rate) => [rate, rate]),
  },
  { key: "device", label: "Device", values: [["auto", "Automatic"], ["webgpu", "WebGPU"], ["cpu", "CPU"]] },
];

/** What the list "Width" sets for each kind of model, and to what. */
export const WIDTHS = {
  basic: { key: "model.widths", values: [["4,8", "4 · 8"], ["8,16", "8 · 16"], ["16,32", "16 · 32"], ["32,64", "32 · 64"]] },
  dense: { key: "model.hidden", values: ["32", "64", "128", "256", "512"].map((n) => [n, n]) },
};

/** Keys that a model in training takes. All others need a new model. */
export const CHANGEABLE = ["loss.beta", "train.learning_rate"];

/** The keys that the list or slider `key` stands for now. */
export const keyOf = (key, settings) => (key === "width" ? (WIDTHS[settings["model.kind"]] ?? WIDTHS.basic).key : key);

/** The settings as the worker takes them. Keys that do not belong to the kind of model or of loss stay away, and so does what the
 * worker takes otherwise: the device, and where own pictures come from. */
export function forWorker(settings) {
  const left = new Set(["device"]);
  if (settings["data.kind"] === "own") left.add("data.kind");
  if (settings["model.kind"] === "dense") left.add("model.widths");
  else left.add("model.hidden");
  if (settings["loss.reconstruction"] !== "gaussian") ["loss.variance", "loss.sigma"].forEach((key) => left.add(key));
  return Object.entries(settings).filter(([key]) => !left.has(key)).map(([key, value]) => `${key}=${value}`);
}

/** The settings that a configuration in TOML holds, of those that the page knows. */
export function readToml(toml) {
  const found = {};
  let table = "";
  for (const line of toml.split("\n")) {
    const head = /^\[([\w.]+)\]/.exec(line), pair = /^(\w+) *= *(.*)$/.exec(line);
    if (head) table = `${head[1]}.`;
    const value = pair?.[2].replace(/["[\] ]/g, "");
    if (value && Object.hasOwn(DEFAULTS, table + pair[1])) found[table + pair[1]] = Number.isFinite(Number(value)) ? String(Number(value)) : value;
  }
  return found;
}

const SIDES = { "": "a", "b.": "b" };

/** Reads the text after # of an address: `loss.beta=4&compare&b.loss.beta=20&experiment=beta`. Unknown words are left out, because an
 * address may be damaged on its way. */
export function readAddress(hash) {
  const state = { a: { ...DEFAULTS }, b: { ...DEFAULTS }, compare: false, experiment: null };
  for (const [word, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (word === "compare") state.compare = true;
    if (word === "experiment") state.experiment = value;
    for (const [prefix, side] of Object.entries(SIDES)) {
      const key = word.slice(prefix.length);
      if (word.startsWith(prefix) && Object.hasOwn(DEFAULTS, key) && /^[\w.,+-]{1,40}$/.test(value)) state[side][key] = value;
    }
  }
  for (const side of ["a", "b"]) if (state[side]["data.kind"] === "own") state[side]["data.kind"] = DEFAULTS["data.kind"];
  return state;
}

/** The text after # for these settings; `b` is null without a second model. */
export function writeAddress(a, b) {
  const words = new URLSearchParams();
  if (b) words.set("compare", "");
  for (const [prefix, settings] of [["", a], ["b.", b]]) {
    for (const [key, value] of Object.entries(settings ?? {})) {
      const shared = Object.hasOwn(DEFAULTS, key) && value !== DEFAULTS[key] && value !== "own";
      if (shared) words.set(prefix + key, value);
    }
  }
  return words.toString().replace("compare=", "compare").replaceAll("%2C", ",");
}

// β has a slider from 0.01 to 100 on a logarithmic scale. Its left end is 0, which a logarithm does not reach.
export const BETA_SLIDER = { min: -2.1, max: 2, step: 0.05 };
export const betaAt = (place) => (place < -2.04 ? "0" : String(Number((10 ** place).toPrecision(2))));
export const placeOfBeta = (beta) => (Number(beta) > 0 ? Math.max(-2, Math.min(2, Math.log10(beta))) : BETA_SLIDER.min);
