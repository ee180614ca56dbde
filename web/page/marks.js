// The colours and the shapes by which classes are told apart. They are those of the figures and of `vae explore`
// (vae/figures/src/figure/style.rs), on a dark ground, because the map is dark in every theme. Readers with protanopia or
// deuteranopia can tell the colours apart too, and the shapes help.
import { make } from "./dom.js";

const COLOURS = ["#38affd", "#f8a520", "#48de9f", "#e07bbc", "#bed2ff", "#fc3c19", "#ffed14", "#fffae6", "#898573", "#915ddd"];
// The corners of each shape of radius 1, y downwards; the disc has none.
const SHAPES = [
  [],
  [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.4], [1.3, 0.9], [-1.3, 0.9]],
  [[0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]],
  [[-1.3, -0.9], [1.3, -0.9], [0, 1.4]],
  [[-1.4, -0.45], [-0.45, -0.45], [-0.45, -1.4], [0.45, -1.4], [0.45, -0.45], [1.4, -0.45], [1.4, 0.45], [0.45, 0.45], [0.45, 1.4], [-0.45, 1.4], [-0.45, 0.45], [-1.4, 0.45]],
  [[-1, -1.3], [0, -0.55], [1, -1.3], [1.3, -1], [0.55, 0], [1.3, 1], [1, 1.3], [0, 0.55], [-1, 1.3], [-1.3, 1], [-0.55, 0], [-1.3, -1]],
];

const look = (label) => ({ colour: COLOURS[label % COLOURS.length], corners: SHAPES[label % SHAPES.length] });

/** Draws the mark of a label at (x, y) with a dark edge, which parts it from its neighbours. */
export function mark(context, label, x, y, radius) {
  const { colour, corners } = look(label);
  context.beginPath();
  if (corners.length) corners.forEach(([u, v], k) => context[k ? "lineTo" : "moveTo"](x + radius * u, y + radius * v));
  else context.arc(x, y, radius, 0, 7);
  context.closePath();
  context.lineWidth = 1.6;
  context.strokeStyle = "#0b0e13";
  context.stroke();
  context.fillStyle = colour;
  context.fill();
}

const stamps = new Map();
/** The mark of a label as an image, drawn once, because a map has hundreds of marks in each of its frames. */
export function stamp(label, radius, dots) {
  const name = `${label} ${radius} ${dots}`;
  if (!stamps.has(name)) {
    const side = Math.ceil(2 * dots * (1.5 * radius + 1.5));
    const canvas = make("canvas", { width: side, height: side }), context = canvas.getContext("2d");
    context.scale(dots, dots);
    mark(context, label, side / dots / 2, side / dots / 2, radius);
    stamps.set(name, canvas);
  }
  return stamps.get(name);
}

/** The key of a label for a legend. */
export function key(label) {
  const dots = Math.min(3, devicePixelRatio || 1), canvas = make("canvas", { width: 16 * dots, height: 16 * dots, className: "key", "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.scale(dots, dots);
  mark(context, label, 8, 8, 5);
  return canvas;
}
