// The map: the plane of two latents, with a mark for each test image, a crosshair at z and, behind them, decoded images.
const RADIUS = 4, SMALL = 3; // of a mark, and of one on a mosaic, in pixels
const QUIET = 300; // milliseconds without a change before the mosaic follows z
let map, at; // `at` is where the keyboard stands on the map
let mosaic = null; // its picture, and what it was asked for
let backdrop = null; // everything on the map except the crosshair
let waiting; // for z to be quiet

const dark = matchMedia("(prefers-color-scheme: dark)");
const SVG = "http://www.w3.org/2000/svg";
const dims = () => [Number($("x").value), Number($("y").value)];
const range = (k) => {
  const all = map.points.map((point) => point[k]).concat(map.points.length ? [-1, 1] : [-3, 3]);
  const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
};
const mark = (label) => {
  const { colours, polygons } = about.marks[label % about.marks.length];
  const outline = polygons.map((corners) => `M${corners.map((corner) => corner.join(" ")).join("L")}Z`).join("");
  return { colour: colours[Number(dark.matches)], outline: outline || "M1 0A1 1 0 0 1-1 0A1 1 0 0 1 1 0Z" };
};

async function loadMap() {
  const [x, y] = dims();
  map = await (await ask(`/map?x=${x}&y=${y}`)).json();
  map.range = [range(0), range(1)];
  at = null;
  const known = [...new Set(map.labels)].sort((a, b) => a - b);
  $("legend").replaceChildren(...known.slice(0, 24).map((label) => {
    const { colour, outline } = mark(label);
    const key = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
    for (const [name, value] of [["class", "key"], ["viewBox", "-1.6 -1.6 3.2 3.2"], ["aria-hidden", "true"]]) key.setAttribute(name, value);
    path.setAttribute("d", outline);
    path.setAttribute("fill", colour);
    key.append(path);
    return make("li", {}, key, className(label));
  }));
  repaint();
  refreshMosaic();
}

/** The size of the map on the page, and the place of a point on it. */
function plane() {
  const canvas = $("map"), side = canvas.clientWidth, dots = Math.round(side * devicePixelRatio);
  const place = (point) => point.map((v, k) => {
    const [low, high] = map.range[k], part = (v - low) / (high - low);
    return side * (k ? 1 - part : part);
  });
  return { canvas, side, dots, place };
}

/** Draws everything anew. */
function repaint() {
  backdrop = null;
  paint();
}

/** Draws the map. What z does not move is drawn once and copied. */
function paint() {
  if (!map) return;
  const { canvas, side, dots, place } = plane(), context = canvas.getContext("2d"), style = getComputedStyle(document.body);
  if (!dots) return; // not laid out yet
  if (!backdrop || backdrop.width !== dots) backdrop = drawBackdrop(style);
  if (canvas.width !== dots) canvas.width = canvas.height = dots;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, dots, dots);
  context.drawImage(backdrop, 0, 0);
  context.setTransform(dots / side, 0, 0, dots / side, 0, 0);
  const cross = (point, name, size) => {
    const [x, y] = place(point);
    for (const [width, shade] of [[6, "--paper"], [2.5, name]]) {
      context.lineWidth = width;
      context.strokeStyle = style.getPropertyValue(shade);
      context.beginPath();
      context.moveTo(x - size, y); context.lineTo(x + size, y);
      context.moveTo(x, y - size); context.lineTo(x, y + size);
      context.moveTo(x + size / 2, y); context.arc(x, y, size / 2, 0, 7);
      context.stroke();
    }
  };
  const [a, b] = dims();
  cross([z[a], z[b]], "--ink", 12);
  if (at) cross(at, "--link", 18);
}

function drawBackdrop(style) {
  const { side, dots, place } = plane();
  const canvas = make("canvas", { width: dots, height: dots }), context = canvas.getContext("2d");
  const shade = (name) => style.getPropertyValue(name);
  context.setTransform(dots / side, 0, 0, dots / side, 0, 0);
  const behind = mosaic && $("mosaic").checked;
  if (behind) {
    context.imageSmoothingEnabled = false;
    context.drawImage(mosaic.bitmap, 0, 0, side, side);
  }
  context.font = `13px ${style.fontFamily}`;
  context.lineJoin = "round";
  for (const k of [0, 1]) {
    const [low, high] = map.range[k], step = 2 ** Math.ceil(Math.log2((high - low) / 8));
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
      const along = place([v, v])[k];
      context.lineWidth = 1;
      context.strokeStyle = shade(v ? "--rule" : "--soft");
      context.beginPath();
      context.moveTo(...(k ? [0, along] : [along, 0]));
      context.lineTo(...(k ? [side, along] : [along, side]));
      if (!behind || !v) context.stroke();
      if (along > side - 16) continue;
      const where = [k ? 4 : along + 4, k ? along - 4 : side - 5];
      context.lineWidth = 4;
      context.strokeStyle = shade("--paper");
      context.strokeText(v, ...where); // readable on a mosaic
      context.fillStyle = shade("--soft");
      context.fillText(v, ...where);
    }
  }
  const looks = new Map(), radius = behind ? SMALL : RADIUS;
  map.points.forEach((point, i) => {
    const label = map.labels[i];
    if (!looks.has(label)) {
      const { colour, outline } = mark(label), path = new Path2D();
      path.addPath(new Path2D(outline), new DOMMatrix([radius, 0, 0, radius, 0, 0]));
      looks.set(label, { colour, path });
    }
    const { colour, path } = looks.get(label), [x, y] = place(point);
    context.save();
    context.translate(x, y);
    context.lineWidth = 2;
    context.strokeStyle = shade("--paper"); // parts it from its neighbours and from a mosaic
    context.stroke(path);
    context.fillStyle = colour;
    context.fill(path);
    context.restore();
  });
  return canvas;
}

/** What the mosaic shows now: all latents but the two of the map, their ranges, and the label. */
function wanted() {
  const [across, up] = dims();
  const others = z.map((x, dim) => (dim === across || dim === up ? 0 : x));
  return { z: others, label: told(), dims: [across, up], ranges: map.range };
}

const loadMosaic = oneAtATime(async () => {
  const question = wanted(), [across, up] = question.dims;
  if (!$("mosaic").checked || mosaic?.question === JSON.stringify(question)) return;
  const bitmap = await createImageBitmap(await (await askJson("/mosaic", question)).blob());
  mosaic = { bitmap, question: JSON.stringify(question) };
  const words = (dim, [low, high]) => `${name(dim)} from ${low.toFixed(2)} to ${high.toFixed(2)}`;
  $("mosaic-words").textContent = `Each of the ${about.mosaic} × ${about.mosaic} images is decoded at its centre: ${words(across, question.ranges[0])}, left to right, and ${words(up, question.ranges[1])}, bottom to top. All other latents are those of z.`;
  repaint();
});

/** Asks for a new mosaic if z has left the plane of the old one, once z is quiet. */
function refreshMosaic() {
  clearTimeout(waiting);
  if (map && $("mosaic").checked && mosaic?.question !== JSON.stringify(wanted())) waiting = setTimeout(loadMosaic, mosaic ? QUIET : 0);
}

async function take([x, y]) {
  const [a, b] = dims();
  if (!$("nearest").checked) {
    const point = [...z];
    [point[a], point[b]] = [x, y];
    set(point);
    $("status").textContent = `${name(a)} = ${x.toFixed(2)}, ${name(b)} = ${y.toFixed(2)}`;
    return;
  }
  const far = (point) => (point[0] - x) ** 2 + (point[1] - y) ** 2;
  const place = map.points.reduce((best, point, i) => (far(point) < far(map.points[best]) ? i : best), 0);
  const code = await (await ask(`/image?place=${place}`)).json();
  if (about.told) $("told").value = code.label;
  set(code.z);
  $("status").textContent = `This is the code of test image ${place} (${className(code.label)}).`;
}

let pointed = null; // where a pointer is held down
const follow = oneAtATime(async () => { await take(pointed); });
const point = (event) => {
  const box = $("map").getBoundingClientRect();
  const parts = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
  pointed = parts.map((part, k) => map.range[k][0] + Math.min(1, Math.max(0, part)) * (map.range[k][1] - map.range[k][0]));
  follow();
};
$("map").addEventListener("pointerdown", (event) => {
  if (!map || event.button !== 0 || !event.isPrimary) return;
  $("map").setPointerCapture(event.pointerId);
  point(event);
});
$("map").addEventListener("pointermove", (event) => {
  if ($("map").hasPointerCapture(event.pointerId)) point(event);
});
$("map").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  const [a, b] = dims();
  if (steps) {
    at = (at ?? [z[a], z[b]]).map((v, k) => {
      const [low, high] = map.range[k];
      return Math.min(high, Math.max(low, v + (steps[k] * (high - low)) / 50));
    });
    event.preventDefault();
    paint();
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    act(() => take(at ?? [z[a], z[b]]));
  }
});
$("map").addEventListener("blur", () => {
  at = null; // the keyboard's place is gone with the keyboard
  paint();
});
$("mosaic").addEventListener("change", () => {
  if (!$("mosaic").checked) $("mosaic-words").textContent = "";
  else mosaic = null; // asks at once
  repaint();
  refreshMosaic();
});
for (const id of ["x", "y"]) $(id).addEventListener("change", () => act(loadMap));
addEventListener("resize", repaint);
dark.addEventListener("change", () => act(loadMap));
