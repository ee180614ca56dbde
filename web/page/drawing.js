// A pad to draw a digit on. What is drawn is made as small as the images of the data and encoded after each piece of a stroke; its
// posterior appears on the map, its reconstruction beside the pad. Without a pointer, the arrow keys move a pen.
import { fixed, latest, make } from "./dom.js";
import { how } from "./how.js";
import { greyOf, showPicture } from "./paint.js";

const SIDE = 280, PEN = 22; // the pad and its pen, in the pad's own pixels
const BOX = 20 / 28; // MNIST's digits fill a box of 20 of 28 pixels, and their centre of mass is in the middle

export function drawing(lab) {
  const pad = make("canvas", { className: "pad", width: SIDE, height: SIDE, tabIndex: 0, role: "application", "aria-label": "Pad to draw on. Arrow keys move the pen, Space lowers or raises it, Delete clears the pad." });
  const seen = make("canvas", { className: "picture", role: "img", "aria-label": "The drawing as the model sees it" });
  const rebuilt = make("canvas", { className: "picture", role: "img", "aria-label": "The reconstruction of the drawing" });
  const words = make("p", { className: "hint" }, "Draw with the mouse, a finger, or the arrow keys.");
  const clear = make("button", { type: "button", className: "small", on: { click: () => wipe(true) } }, "Clear");
  const element = make("section", { className: "panel draw", "aria-label": "Draw a digit" },
    make("header", {}, make("h2", {}, "Draw a digit"), clear, how("drawing")),
    make("div", { className: "easel" }, pad, make("div", { className: "seen" },
      make("figure", {}, seen, make("figcaption", {}, "as seen")), make("figure", {}, rebuilt, make("figcaption", {}, "rebuilt")), words)));

  const context = pad.getContext("2d", { willReadFrequently: true });
  const ink = make("canvas", { width: SIDE, height: SIDE }), inked = ink.getContext("2d", { willReadFrequently: true }); // without the pen
  let stroke = null, empty = true, pen = [SIDE / 2, SIDE / 2], isDown = false, since = 0;
  // The pad follows the keyboard only; a click focuses it too, and then nobody needs to see the pen.
  const penShows = () => document.activeElement === pad && pad.matches(":focus-visible") && !stroke;

  function paint() {
    context.drawImage(ink, 0, 0);
    if (!penShows()) return;
    context.strokeStyle = isDown ? "#ff5ea8" : "#9fb3c8";
    context.lineWidth = 3;
    context.beginPath();
    context.arc(...pen, PEN / 2, 0, 7);
    context.stroke();
  }

  function wipe(isAsked) {
    inked.fillStyle = "#000";
    inked.fillRect(0, 0, SIDE, SIDE);
    [empty, isDown] = [true, false];
    paint();
    for (const canvas of [seen, rebuilt]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    lab.map.setDrawing(null);
    if (isAsked) words.textContent = "The pad is clear.";
  }

  function line(from, to) {
    Object.assign(inked, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    inked.beginPath();
    inked.moveTo(...from);
    inked.lineTo(...to);
    inked.stroke();
    empty = false;
    paint();
    encode();
  }

  /** The drawing with the size and the place that digits of MNIST have. Other data are taken as they are drawn. */
  function centred() {
    if (lab.settings["data.kind"] !== "digits" || lab.run) return ink;
    const { data } = inked.getImageData(0, 0, SIDE, SIDE);
    let [left, right, top, bottom, mass, sumX, sumY] = [SIDE, 0, SIDE, 0, 0, 0, 0];
    for (let i = 0; i < SIDE * SIDE; i++) {
      const grey = data[4 * i], x = i % SIDE, y = Math.floor(i / SIDE);
      if (grey < 40) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      [mass, sumX, sumY] = [mass + grey, sumX + grey * x, sumY + grey * y];
    }
    if (!mass) return ink;
    const scale = (BOX * SIDE) / Math.max(right - left, bottom - top, SIDE / 8);
    const moved = make("canvas", { width: SIDE, height: SIDE }), into = moved.getContext("2d");
    into.fillRect(0, 0, SIDE, SIDE);
    into.setTransform(scale, 0, 0, scale, SIDE / 2 - (scale * sumX) / mass, SIDE / 2 - (scale * sumY) / mass);
    into.drawImage(ink, 0, 0);
    return moved;
  }

  const encode = latest(async () => {
    if (empty || !lab.client || !lab.about) return;
    const { shape } = lab.about, pixels = greyOf(centred(), shape);
    const code = await lab.client.ask("encode", { pixels, label: 0 });
    if (empty) return; // it was cleared meanwhile
    since = performance.now();
    showPicture(seen, Uint8Array.from(pixels, (x) => Math.round(255 * x)), shape);
    showPicture(rebuilt, code.reconstruction, shape);
    lab.map.setDrawing(code);
    const sigma = Array.from(code.logvar, (x) => Math.exp(x / 2)), two = Array.from(code.mu.slice(0, 2));
    words.textContent = two.map((m, k) => `z${k + 1} = ${fixed(m)} ± ${fixed(sigma[k])}`).join("\n") + (code.mu.length > 2 ? " …" : "");
  });

  const spot = (event) => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };
  pad.addEventListener("pointerdown", (event) => {
    if (stroke || event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    stroke = { pointer: event.pointerId, at: spot(event) };
    line(stroke.at, stroke.at);
  });
  pad.addEventListener("pointermove", (event) => {
    if (stroke?.pointer !== event.pointerId) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) {
      const to = spot(part);
      line(stroke.at, to);
      stroke.at = to;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, (event) => {
    if (stroke?.pointer === event.pointerId) stroke = null;
  });
  pad.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) {
      const to = pen.map((x, k) => Math.max(PEN, Math.min(SIDE - PEN, x + 10 * move[k])));
      if (isDown) line(pen, to);
      pen = to;
    } else if (event.key === " ") {
      isDown = !isDown;
      if (isDown) line(pen, pen);
      words.textContent = isDown ? "The pen is down." : "The pen is up.";
    } else if (event.key === "Delete" || event.key === "Backspace") wipe(true);
    else return;
    event.preventDefault();
    paint();
  });
  for (const name of ["focus", "blur"]) pad.addEventListener(name, paint);
  wipe(false);
  return {
    element,
    reset: () => { since = 0; },
    about({ shape }) {
      for (const canvas of [seen, rebuilt]) if (empty) Object.assign(canvas, { width: shape[2], height: shape[1] });
    },
    // The model learns on, so the same drawing gets another code: about once a second, which costs little.
    frame() {
      if (!empty && !stroke && performance.now() - since > 1000) encode();
    },
  };
}
