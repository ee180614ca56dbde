"use strict";
// A run under way. The server tells all that is known when this page connects (`state`), then what is new; S is what it knows.
// Drawing waits for the next frame, so that news that come together are drawn once.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg", POINTS = 4000, MARKS = 100;
const IN_USE = 0.1; // nats: vae_core::predict::IN_USE
const WORDS = { kl: "KL", mi: "Mutual information (MI)", tc: "Total correlation (TC)", dw_kl: "Dimension-wise KL", mse: "Mean squared error of a pixel",
  discriminator: "Cross-entropy of the discriminator", mmd: "Maximum mean discrepancy (MMD)", off_diagonal: "Squared covariances of two latents", diagonal: "Squared differences of variances from 1",
  features: "Squared differences of features", generator: "Loss of the decoder against the discriminator", exp_elbo: "Exponential bound of decoded draws", kl_fake: "KL of decoded draws" };
const words = (name) => WORDS[name] ?? name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
const told = (x) => String(Number.isFinite(x) ? (Math.abs(x) < 1000 ? Number(x.toPrecision(4)) : Math.round(x)) : x);
let S = null, waiting = false;
let drawn = null, follows = true; // the epoch of the pictures; whether that is the latest

const svg = (name, attributes, ...children) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/** Multiples of 1, 2 or 5 times a power of ten, three to eight of them, in a range; the step is `whole` or more. The range must be wide
 * enough that rounding does not matter: see `chart`. */
function ticks(low, high, whole = 0) {
  const range = high - low || 1;
  for (let power = 10 ** Math.ceil(Math.log10(range)); power > range / 1e9; power /= 10) for (const k of [5, 2, 1]) {
    const step = Number((k * power).toPrecision(1)), first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    if (last - first < 2 && step > whole) continue;
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), all = [];
    for (let n = first; n <= last; n++) all.push({ at: n * step, words: (n * step).toFixed(digits) });
    return all;
  }
  return [];
}

/** The exponential moving average of a curve, as TensorBoard computes it: divided by the sum of its weights, so that its beginning is
 * not drawn towards 0. */
function smoothed(points, factor) {
  let sum = 0, weights = 0;
  return points.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => {
    [sum, weights] = [factor * sum + (1 - factor) * y, factor * weights + 1 - factor];
    return [x, sum / weights];
  });
}

/** A chart of lines, or of bars: `lines` have a name, a colour, points [x, y], and perhaps marks; x runs from 0 to `last`. */
function chart(heading, unit, lines, last, along, bars = false) {
  const [W, H, left, right, top, bottom] = [460, 270, 58, 450, 12, 226];
  const points = lines.flatMap((line) => line.points).filter(([, y]) => Number.isFinite(y));
  let [low, high] = [bars ? 0 : Infinity, bars ? 0.1 : -Infinity];
  for (const [, y] of points) [low, high] = [Math.min(low, y), Math.max(high, y)];
  if (!points.length) [low, high] = [0, 1];
  // A smoothed value may differ from the only value that it averages, by rounding. Such a range has no ticks.
  const size = Math.max(Math.abs(low), Math.abs(high)), room = high - low > 1e-9 * size ? (high - low) / 20 : size / 10 || 1;
  [low, high] = [bars ? 0 : low - room, high + room];
  const x = (v) => (left + (v / last) * (right - left)).toFixed(1);
  const y = (v) => (bottom - ((v - low) / (high - low)) * (bottom - top)).toFixed(1);
  const latest = lines.map((line) => `${line.name} ${told(line.points.at(-1)?.[1])}`).join(", ");
  const label = bars ? `${heading}: ${lines[0].points.map(([, v], i) => `${i} ${told(v)}`).join(", ")}` : `${heading}, latest: ${latest}`;
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
  const text = (at, words) => {
    const element = svg("text", at);
    element.textContent = words;
    return element;
  };
  for (const { at, words } of ticks(low, high)) {
    root.append(svg("path", { class: "grid", d: `M${left} ${y(at)}H${right}` }), text({ class: "up", x: left - 7, y: Number(y(at)) + 4, "text-anchor": "end" }, words));
  }
  // Latents are counted; a run of one or two epochs has ticks between them.
  for (const { at, words } of ticks(0, bars ? last - 1 : last, bars ? 1 : 0)) {
    root.append(text({ class: "across", x: x(bars ? at + 0.5 : at), y: bottom + 18, "text-anchor": "middle" }, words));
  }
  root.append(svg("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }), text({ x: (left + right) / 2, y: bottom + 37, "text-anchor": "middle" }, along));
  lines.forEach((line) => {
    const { style } = line, known = line.points.filter(([, v]) => Number.isFinite(v));
    if (bars) {
      for (const [k, v] of known) {
        const bar = svg("rect", { class: "bar", x: x(k + 0.1), y: y(v), width: x(k + 0.9) - x(k + 0.1), height: bottom - y(v) });
        const title = svg("title", {});
        title.textContent = `latent ${k}: ${told(v)} nats`;
        bar.append(title);
        root.append(bar);
      }
      return;
    }
    root.append(svg("path", { class: `line s${style}${line.faint ? " faint" : ""}`, d: known.map(([a, b], i) => `${i ? "L" : "M"}${x(a)} ${y(b)}`).join("") }));
    if (line.marks && known.length <= MARKS) for (const [a, b] of known) {
      const title = svg("title", {});
      title.textContent = `epoch ${a}, ${line.name}: ${told(b)}`;
      const point = svg("circle", { class: `s${style}`, cx: x(a), cy: y(b), r: 3.5 });
      point.append(title);
      root.append(point);
    }
  });
  const figure = document.createElement("figure"), caption = document.createElement("figcaption"), small = document.createElement("small");
  figure.className = "chart";
  small.textContent = unit;
  caption.append(heading, " ", small);
  figure.append(caption, root);
  if (!bars) {
    const legend = document.createElement("ul");
    legend.className = "legend";
    lines.forEach(({ name, style, faint }) => {
      const item = document.createElement("li"), key = svg("svg", { viewBox: "0 0 28 8", "aria-hidden": "true" });
      key.append(svg("path", { class: `line s${style}${faint ? " faint" : ""}`, d: "M1 4H27" }));
      item.append(key, ` ${name}`);
      legend.append(item);
    });
    figure.append(legend);
  }
  return figure;
}

function charts() {
  // To the end of the run, or, while that is far, to a power of two: what is known fills half of the width at least.
  const last = Math.min(S.epochs, 2 ** Math.ceil(Math.log2(Math.max(S.steps.at(-1)?.[0] ?? 0, S.history.length, 1))));
  const factor = Number($("smoothing").value), smooth = { name: `smoothed, factor ${factor.toFixed(2)}`, style: 0, points: smoothed(S.steps, factor) };
  const steps = [{ name: "training", style: 0, points: S.steps, faint: factor > 0 }, ...(factor > 0 ? [smooth] : [])];
  const all = [chart("Loss of training steps", S.unit, steps, last, "epoch")];
  const names = Object.keys(S.history[0]?.validation ?? {}).filter((name) => name !== "kl_per_dim");
  for (const name of names) {
    const line = (of, words) => ({ name: words, style: of === "train" ? 0 : 1, marks: true, points: S.history.map((one) => [one.epoch, Number(one[of][name] ?? NaN)]) });
    const lines = [line("train", "training"), line("validation", "validation")].filter((one) => one.points.some(([, v]) => Number.isFinite(v)));
    all.push(chart(words(name), name === "mse" ? "" : name === "total" ? S.unit : S.units[name] ?? "nats per image", lines, last, "epoch"));
  }
  $("charts").replaceChildren(...all);
  const kl = S.history.at(-1)?.validation.kl_per_dim;
  $("latents").hidden = !kl;
  if (kl) $("used").textContent = `${kl.filter((v) => Number(v) > IN_USE).length} of ${kl.length} latents are in use: they have a KL above ${IN_USE} nat.`;
  if (kl) $("kl").replaceChildren(chart(`After epoch ${S.history.length}`, "nats", [{ name: "KL", style: 0, points: kl.map((v, i) => [i, Number(v)]) }], kl.length, "latent", true));
}

function clock(seconds) {
  const two = (x) => String(x).padStart(2, "0");
  const s = Math.round(seconds);
  return s < 3600 ? `${Math.floor(s / 60)}:${two(s % 60)} min` : `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))} h`;
}

function draw() {
  waiting = false;
  const { progress: now, history } = S;
  document.title = `${S.name || "Training"}${now ? `: epoch ${now.epoch}` : ""}`;
  $("title").textContent = S.name || "Training";
  $("words").textContent = S.words;
  if (S.prior) $("prior").textContent = S.prior;
  const done = now ? now.epoch - 1 + now.step / now.steps : history.length;
  $("bar").value = S.ended === "finished" ? 1 : done / Math.max(S.epochs, 1);
  $("state").textContent = S.ended ? `The run has ended: ${S.ended}.` : now ? (now.step === now.steps ? "Validating." : "Training.") : S.name ? "The first steps are running." : "Waiting for the run to start.";
  $("epoch").textContent = now ? `${now.epoch} of ${S.epochs}` : "–";
  $("step").textContent = now ? `${now.step} of ${now.steps}` : "–";
  $("speed").textContent = now ? Math.round(now.images_per_second).toLocaleString("en") : "–";
  $("loss").textContent = S.steps.length ? told(Number(S.steps.at(-1)[1])) : "–";
  // By whole epochs where one is known: they have validation in them.
  const epoch = history.at(-1)?.seconds ?? (now && S.images / now.images_per_second);
  $("left").textContent = S.ended || !epoch ? "–" : clock(Math.max(S.epochs - done, 0) * epoch);
  if (S.name) charts();
  pictures();
}

/** Shows the pictures after the chosen epoch, or after the latest while the slider is at its end. */
function pictures() {
  const all = S.pictures, slider = $("when");
  if (!all.length) return;
  const near = (epoch) => all.reduce((best, one, i) => (Math.abs(one - epoch) < Math.abs(all[best] - epoch) ? i : best), 0);
  const place = follows ? all.length - 1 : near(drawn); // earlier epochs may have been dropped
  [slider.max, slider.value] = [all.length - 1, place];
  slider.disabled = all.length < 2;
  slider.setAttribute("aria-valuetext", `epoch ${all[place]}`);
  drawn = all[place];
  const words = `after epoch ${drawn}${follows ? ", the latest" : ""}`;
  if ($("drawn").textContent === words) return;
  $("drawn").textContent = words;
  $("pictures").hidden = false;
  for (const id of ["reconstructions", "samples", ...(S.map ? ["map"] : [])]) {
    const figure = $(id).closest("figure");
    $(id).onload = () => (figure.hidden = false);
    $(id).onerror = () => (figure.hidden = true); // not for this model
    $(id).src = `/${id}.png?epoch=${drawn}`;
  }
}

function scheduleDraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function log(lines) {
  const box = $("log"), follows = box.scrollTop + box.clientHeight > box.scrollHeight - 30;
  box.append(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  if (follows) box.scrollTop = box.scrollHeight;
}

$("smoothing").addEventListener("input", () => {
  $("factor").textContent = Number($("smoothing").value).toFixed(2);
  if (S?.name) charts();
});
$("when").addEventListener("input", () => {
  const place = Number($("when").value);
  [follows, drawn] = [place === S.pictures.length - 1, S.pictures[place]];
  pictures();
});

const source = new EventSource("/events");
const on = (name, act) => source.addEventListener(name, (event) => {
  const data = JSON.parse(event.data);
  if (name !== "state" && !S) return;
  act(data);
  scheduleDraw();
});
on("state", (data) => {
  S = data;
  S.steps = S.steps.map((point) => point.map(Number));
  $("log").textContent = "";
  log(S.log);
  if (S.ended) source.close();
});
on("step", ({ progress, point }) => {
  S.progress = progress;
  S.steps.push(point.map(Number));
  if (S.steps.length > POINTS) S.steps = S.steps.filter((_, i) => i % 2 === 0);
});
on("epoch", ({ epoch, pictures }) => {
  S.history.push(epoch);
  S.pictures = pictures;
});
on("line", (line) => {
  S.log.push(line);
  log([line]);
});
on("end", (words) => {
  S.ended = words;
  source.close();
});
source.addEventListener("error", () => {
  if (S && !S.ended) $("state").textContent = "The run does not answer. It may have ended; this page tries again.";
});
