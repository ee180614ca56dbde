// The loss of each step, total = reconstruction + β·KL, as two curves with their own scales, because the KL is much the smaller.
import { digits, fit, fixed, make, shade } from "./dom.js";
import { how } from "./how.js";

const MOST = 1200; // points that are kept; beyond, pairs become their means, so that the memory of a long training stays the same
const SMOOTH = 12; // points over which the thick line averages

export function loss(lab) {
  const parts = { reconstruction: "Reconstruction", kl: "KL" };
  const values = {}, plots = {};
  const sum = make("span", { className: "sum", role: "group", "aria-label": "The loss of the last step" });
  const rows = Object.entries(parts).map(([part, name]) => {
    values[part] = make("span", { className: "number" }, "–");
    plots[part] = make("canvas", { className: "curve", role: "img", "aria-label": `${name} over the steps` });
    return make("div", { className: `term ${part}` }, make("div", { className: "key" }, make("i", {}), name, values[part], " nats"), plots[part]);
  });
  const element = make("section", { className: "panel loss", "aria-label": "Loss" },
    make("header", {}, make("h2", {}, "Loss"), sum, how("loss")), make("div", { className: "terms" }, ...rows));

  let points = [], each = 1, gathered = [], marks = []; // points: [step, total, reconstruction, kl], each a mean of `each` steps

  function add(point) {
    gathered.push(point);
    if (gathered.length < each) return;
    points.push(point.map((_, k) => (k ? gathered.reduce((all, one) => all + one[k], 0) / gathered.length : point[0])));
    gathered = [];
    if (points.length < MOST) return;
    const halved = [];
    for (let i = 0; i + 1 < points.length; i += 2) halved.push(points[i].map((x, k) => (k ? (x + points[i + 1][k]) / 2 : points[i + 1][k])));
    [points, each] = [halved, 2 * each];
  }

  function draw(part, column) {
    const surface = fit(plots[part]);
    if (!surface || points.length < 2) return;
    const { context, width, height } = surface, left = 34, bottom = 15, top = 4, right = 4;
    const ys = points.map((point) => point[column]).filter(Number.isFinite);
    // The first steps are many times higher than all others; the scale leaves them out as soon as there is something else.
    const late = points.length > 40 ? ys.slice(Math.floor(ys.length * 0.05)) : ys;
    if (!late.length) return;
    const sorted = [...late].sort((a, b) => a - b), spread = sorted[Math.floor(0.98 * (sorted.length - 1))];
    let low = sorted[0], high = Math.max(spread, low + 1e-3);
    [low, high] = [low - 0.08 * (high - low), high + 0.12 * (high - low)];
    const first = points[0][0], last = points.at(-1)[0];
    const x = (step) => left + ((step - first) / Math.max(1, last - first)) * (width - left - right);
    const y = (value) => top + ((high - Math.min(high, value)) / (high - low)) * (height - top - bottom);
    context.font = "11px system-ui, sans-serif";
    context.strokeStyle = shade("--rule");
    context.fillStyle = shade("--soft");
    context.lineWidth = 1;
    const step = nice((high - low) / 3);
    context.textAlign = "right";
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      context.beginPath();
      context.moveTo(left, y(value));
      context.lineTo(width - right, y(value));
      context.stroke();
      context.fillText(digits(Number(value.toPrecision(6))), left - 4, y(value) + 4);
    }
    context.textAlign = "left";
    context.fillText(`step ${first}`, left, height - 3);
    context.textAlign = "right";
    context.fillText(String(last), width - right, height - 3);
    for (const mark of marks) {
      if (mark.step < first) continue;
      context.strokeStyle = context.fillStyle = shade("--kl-text");
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(x(mark.step), top);
      context.lineTo(x(mark.step), height - bottom);
      context.stroke();
      context.setLineDash([]);
      context.textAlign = x(mark.step) > width - 60 ? "right" : "left";
      if (part === "kl") context.fillText(`β = ${digits(Number(mark.beta), 2)}`, x(mark.step) + (context.textAlign === "left" ? 3 : -3), top + 9);
    }
    context.save();
    context.beginPath();
    context.rect(left, 0, width - left, height - bottom);
    context.clip();
    line(context, points.map((point) => [x(point[0]), y(point[column])]), shade(`--${part}`), 1, 0.35);
    line(context, smooth(column).map(([at, value]) => [x(at), y(value)]), shade(`--${part}`), 2, 1);
    context.restore();
  }

  function smooth(column) {
    let mean = points[0][column];
    return points.map((point) => [point[0], (mean += (point[column] - mean) / Math.min(SMOOTH, points.length / 8 + 1))]);
  }

  function line(context, path, colour, width, alpha) {
    Object.assign(context, { lineWidth: width, strokeStyle: colour, globalAlpha: alpha, lineJoin: "round" });
    context.beginPath();
    path.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x, y));
    context.stroke();
    context.globalAlpha = 1;
  }

  function show() {
    draw("reconstruction", 2);
    draw("kl", 3);
  }
  const resized = new ResizeObserver(show);
  Object.values(plots).forEach((plot) => resized.observe(plot));

  return {
    element,
    /** The step from which another β holds. A drag of the slider is one mark. */
    markBeta(beta) {
      const step = lab.last?.steps ?? lab.last?.step ?? 0, before = marks.at(-1);
      if (before && step - before.step < 30) marks.pop();
      marks.push({ step, beta });
      marks = marks.slice(-6);
    },
    reset() {
      [points, each, gathered, marks] = [[], 1, [], []];
      Object.values(values).forEach((value) => { value.textContent = "–"; });
      sum.textContent = "";
      Object.values(plots).forEach(fit);
    },
    frame({ losses }) {
      for (let i = 0; i + 3 < losses.length; i += 4) add([...losses.subarray(i, i + 4)]);
      if (losses.length >= 4) {
        const [, total, reconstruction, kl] = losses.subarray(losses.length - 4);
        values.reconstruction.textContent = fixed(reconstruction, 1);
        values.kl.textContent = fixed(kl, kl < 10 ? 2 : 1);
        sum.textContent = !lab.about.is_beta_loss ? `total ${fixed(total, 1)}` : `${fixed(total, 1)} = ${fixed(reconstruction, 1)} ${lab.about.beta < 0 ? "−" : "+"} ${digits(Math.abs(lab.about.beta), 2)} × ${fixed(kl, kl < 10 ? 2 : 1)}`;
        plots.reconstruction.setAttribute("aria-label", `Reconstruction over the steps, now ${fixed(reconstruction, 1)} nats`);
        plots.kl.setAttribute("aria-label", `KL over the steps, now ${fixed(kl, 2)} nats`);
      }
      show();
    },
    end: () => resized.disconnect(),
  };
}

/** The step of an axis: 1, 2 or 5 times a power of ten. */
function nice(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((k) => k * power >= rough) ?? 10);
}
