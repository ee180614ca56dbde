// The latent map: the plane of two latents. Each mark is a test image at its posterior mean mu, coloured by class. Behind the marks
// are images that the decoder makes of the places where they lie. A loupe shows the decoded image under the pointer.
import { calm, digits, fit, fixed, latest, make } from "./dom.js";
import { how } from "./how.js";
import { key, stamp } from "./marks.js";
import { showMosaic, showPicture } from "./paint.js";

const LEAST = 3; // half the side of the map, in σ of the prior
const RADIUS = 2.6; // of a mark, in CSS pixels
const GLIDE = 260; // milliseconds in which marks move to their new places

export function map(lab) {
  const canvas = make("canvas", { className: "plane", tabIndex: 0, role: "application", "aria-label": "Latent map. Arrow keys move a probe and show the image that is decoded there. Enter sends the nearest test image through the network. Escape removes the probe." });
  const loupe = make("canvas", { className: "loupe", hidden: true, role: "img", "aria-label": "The image decoded under the pointer" });
  const place = make("output", { className: "place" }), heard = make("span", { className: "hearing", "aria-live": "polite" });
  const legend = make("div", { className: "legend", role: "group", "aria-label": "Classes. Press one to see it alone." });
  const behind = make("input", { type: "checkbox", checked: true });
  const axes = [0, 1].map((axis) => make("select", { "aria-label": axis ? "Latent on the vertical axis" : "Latent on the horizontal axis" }));
  const choice = make("span", { className: "axes", hidden: true }, axes[0], " × ", axes[1]);
  const tiles = document.createElement("canvas");
  const waiting = make("p", { className: "waiting", "aria-hidden": "true" }); // the line of the device says the same aloud
  const element = make("section", { className: "panel latent", "aria-label": "Latent map" },
    make("header", {}, make("h2", {}, "Latent space"), choice, make("label", { className: "check" }, behind, "images"), how("map")),
    make("div", { className: "square" }, canvas, waiting, loupe, place),
    legend, heard);

  let from = null, to = null, labels = null, since = 0, drawn = null; // marks move from `from` to `to`
  let reach = LEAST, narrow = 0, alone = null, probe = null, hasTiles = false, mine = null, queued = false, tileReach = reach;

  const side = () => canvas.clientWidth;
  const across = (z) => ((z + reach) / (2 * reach)) * side(), down = (z) => ((reach - z) / (2 * reach)) * side();

  /** The places of the marks now, between two frames. */
  function now(time) {
    if (!from || from.length !== to.length || calm()) return [to, true];
    const part = Math.min(1, (time - since) / GLIDE), eased = part * (2 - part);
    return [to.map((z, i) => from[i] + eased * (z - from[i])), part === 1];
  }

  function paint() {
    if (queued) return;
    queued = true;
    requestAnimationFrame((time) => {
      queued = false;
      const surface = fit(canvas);
      if (surface) draw(surface, time);
    });
  }

  function draw({ context, width, dots }, time) {
    context.fillStyle = "#0b0e13";
    context.fillRect(0, 0, width, width);
    if (hasTiles && behind.checked) {
      // Marks must stay legible on it. Tiles of an older range keep their place until new ones come.
      context.globalAlpha = 0.85;
      context.imageSmoothingEnabled = false;
      const half = (tileReach / reach) * (width / 2);
      context.drawImage(tiles, width / 2 - half, width / 2 - half, 2 * half, 2 * half);
      context.globalAlpha = 1;
    }
    grid(context, width);
    if (to) {
      const [points, done] = now(time);
      drawn = points;
      for (const lit of alone === null ? [true] : [false, true]) {
        context.globalAlpha = lit ? 1 : 0.12;
        for (let i = 0; i < labels.length; i++) {
          if (alone !== null && (labels[i] === alone) !== lit) continue;
          const image = stamp(labels[i], RADIUS, dots), size = image.width / dots;
          context.drawImage(image, across(points[2 * i]) - size / 2, down(points[2 * i + 1]) - size / 2, size, size);
        }
      }
      context.globalAlpha = 1;
      if (!done) paint();
    }
    const [a, b] = lab.watching.dims, seen = lab.last?.features;
    if (seen) ellipse(context, seen.mu[a], seen.mu[b], seen.logvar[a], seen.logvar[b], "#ffffff");
    if (mine) ellipse(context, mine.mu[a], mine.mu[b], mine.logvar[a], mine.logvar[b], "#ff5ea8", "your drawing");
    if (probe) cross(context, across(probe[0]), down(probe[1]));
  }

  /** Circles of one, two and three σ of the prior, and the numbers of an axis. */
  function grid(context, width) {
    context.lineWidth = 1;
    context.strokeStyle = "rgba(255,255,255,0.28)";
    context.setLineDash([2, 4]);
    for (const sigma of [1, 2, 3]) {
      if (sigma > reach) continue;
      context.beginPath();
      context.arc(width / 2, width / 2, (sigma / reach) * (width / 2), 0, 7);
      context.stroke();
    }
    context.setLineDash([]);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "bottom";
    const step = reach <= 4 ? 1 : reach <= 8 ? 2 : reach / 4;
    for (let z = -Math.ceil(reach) + step; z < reach; z += step) {
      const near = Math.round(z / step) * step;
      if (Math.abs(near) >= reach) continue;
      tick(context, digits(near, 2), across(near), width - 2, "center");
      tick(context, digits(near, 2), 4, down(near) + 6, "left");
    }
  }

  function tick(context, text, x, y, align) {
    context.textAlign = align;
    context.lineWidth = 3;
    context.strokeStyle = "rgba(11,14,19,0.85)";
    context.strokeText(text, x, y);
    context.fillStyle = "rgba(255,255,255,0.8)";
    context.fillText(text, x, y);
  }

  /** The posterior of one image: its mean and one and two standard deviations. */
  function ellipse(context, x, y, logvarX, logvarY, colour, words) {
    const scale = side() / (2 * reach), [w, h] = [logvarX, logvarY].map((logvar) => Math.max(1.5, Math.exp(logvar / 2) * scale));
    for (const [line, shade] of [[4, "#0b0e13"], [2, colour]]) {
      context.strokeStyle = shade;
      for (const sigmas of [1, 2]) {
        context.lineWidth = sigmas === 1 ? line : line / 2;
        context.beginPath();
        context.ellipse(across(x), down(y), sigmas * w, sigmas * h, 0, 0, 7);
        context.stroke();
      }
    }
    context.fillStyle = colour;
    context.beginPath();
    context.arc(across(x), down(y), 2, 0, 7);
    context.fill();
    if (words) tick(context, words, Math.min(side() - 40, Math.max(40, across(x))), Math.max(14, down(y) - 2 * h - 4), "center");
  }

  function cross(context, x, y) {
    for (const [line, colour] of [[3.5, "#0b0e13"], [1.5, "#fff"]]) {
      context.lineWidth = line;
      context.strokeStyle = colour;
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 3 * dx, y + 3 * dy);
        context.lineTo(x + 9 * dx, y + 9 * dy);
      }
      context.stroke();
    }
  }

  /** Chooses how much of the plane is shown. It grows at once and shrinks late, so that it does not flicker. */
  function scale(points) {
    const sizes = Array.from(points, Math.abs).filter(Number.isFinite).sort((a, b) => a - b), far = sizes[Math.floor(0.985 * (sizes.length - 1))] ?? 0;
    let wanted = LEAST;
    for (let k = 0; wanted < far; k++) wanted = 2 ** Math.floor(2 + k / 2) * (k % 2 ? 1.5 : 1); // 4, 6, 8, 12, 16, …
    narrow = wanted < reach ? narrow + 1 : 0;
    if (wanted === reach || (wanted < reach && (narrow < 6 || far > 0.9 * wanted))) return;
    [reach, narrow] = [wanted, 0];
    lab.watch({ range: [[-reach, reach], [-reach, reach]] }).catch(() => {});
  }

  const decode = latest(async () => {
    if (!probe || !lab.client || !lab.about) return;
    const [a, b] = lab.watching.dims, z = new Float32Array(lab.about.latents);
    [z[a], z[b]] = probe;
    const { pixels } = await lab.client.ask("decode", { z, label: alone ?? 0 });
    showPicture(loupe, pixels, lab.about.shape);
    loupe.hidden = !probe;
  });

  function setProbe(point, spoken) {
    probe = point;
    paint();
    loupe.hidden ||= !probe;
    if (!probe) {
      place.textContent = "";
      return;
    }
    const width = side(), [x, y] = [across(probe[0]), down(probe[1])], size = Math.max(72, 0.24 * width);
    loupe.style.width = `${size}px`;
    loupe.style.left = `${x + 14 + size > width ? x - 14 - size : x + 14}px`;
    place.classList.toggle("left", x > width / 2 && y < width / 2);
    loupe.style.top = `${y - 14 - size < 0 ? y + 14 : y - 14 - size}px`;
    place.textContent = `z = (${fixed(probe[0])}, ${fixed(probe[1])})`;
    if (spoken) heard.textContent = place.textContent;
    decode();
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height].map((part) => (2 * Math.min(1, Math.max(0, part)) - 1) * reach);
  }

  /** Sends the test image that is nearest to a point through the network. */
  function take([x, y]) {
    if (!drawn) return;
    let best = 0, least = Infinity;
    for (let i = 0; i < labels.length; i++) {
      const far = (drawn[2 * i] - x) ** 2 + (drawn[2 * i + 1] - y) ** 2;
      if (far < least && (alone === null || labels[i] === alone)) [best, least] = [i, far];
    }
    lab.network.choose(best);
    heard.textContent = `Test image ${best}, ${lab.about.classes[labels[best]] ?? labels[best]}, goes through the network.`;
  }

  canvas.addEventListener("pointermove", (event) => setProbe(at(event)));
  canvas.addEventListener("pointerdown", (event) => setProbe(at(event)));
  canvas.addEventListener("pointerleave", () => setProbe(null));
  canvas.addEventListener("click", (event) => take(at(event)));
  canvas.addEventListener("blur", () => setProbe(null));
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (move) {
      const step = reach / (event.shiftKey ? 8 : 40);
      setProbe((probe ?? [0, 0]).map((z, k) => Math.max(-reach, Math.min(reach, z + step * move[k]))), true);
    } else if (event.key === "Enter" || event.key === " ") take(probe ?? [0, 0]);
    else if (event.key === "Escape") setProbe(null);
    else return;
    event.preventDefault();
  });
  behind.addEventListener("change", () => {
    lab.watch({ mosaic: behind.checked ? lab.frames.mosaic : 0 }).catch(() => {});
    paint();
  });
  axes.forEach((list, axis) => list.addEventListener("change", () => {
    const dims = [...lab.watching.dims];
    dims[axis] = Number(list.value);
    [from, to, drawn, hasTiles] = [null, null, null, false];
    lab.watch({ dims }).catch(() => {});
  }));
  const resized = new ResizeObserver(paint);
  resized.observe(canvas);

  return {
    element,
    square: element.querySelector(".square"),
    /** Says what the visitor waits for; an empty text ends it. */
    wait(text) {
      waiting.textContent = text;
    },
    /** Shows the posterior of the visitor's drawing; null removes it. */
    setDrawing(code) {
      mine = code;
      paint();
    },
    reset() {
      [from, to, drawn, hasTiles, mine, alone] = [null, null, null, false, null, null];
      narrow = 0;
      for (const button of legend.children) button.setAttribute("aria-pressed", "false");
      paint();
    },
    about({ latents, classes }) {
      choice.hidden = latents < 3;
      axes.forEach((list, axis) => {
        if (list.options.length !== latents) list.replaceChildren(...Array.from({ length: latents }, (_, k) => make("option", { value: k }, `z${k + 1}`)));
        list.value = lab.watching.dims[axis];
      });
      const shown = classes.length > 24 || classes.length < 2 ? [] : classes;
      if (legend.dataset.classes === shown.join()) return;
      legend.dataset.classes = shown.join();
      legend.replaceChildren(...shown.map((name, label) => {
        const button = make("button", { type: "button", "aria-pressed": "false", title: `Show ${name} alone` }, key(label), name);
        button.addEventListener("click", () => {
          alone = alone === label ? null : label;
          for (const [k, other] of [...legend.children].entries()) other.setAttribute("aria-pressed", String(k === alone));
          paint();
        });
        return button;
      }));
    },
    frame({ map: marks, mosaic }) {
      if (mosaic?.tiles) {
        showMosaic(tiles, mosaic.pixels, mosaic.tiles, lab.about.shape);
        [hasTiles, tileReach] = [true, lab.watching.range[0][1]]; // before the marks change it
      }
      if (marks?.points.length) {
        from = drawn && drawn.length === marks.points.length ? drawn : null;
        [to, labels, since] = [marks.points, marks.labels, performance.now()];
        if (document.hidden) from = null;
        scale(marks.points);
        canvas.dataset.spread = Math.sqrt(marks.points.reduce((sum, z) => sum + z * z, 0) / marks.labels.length).toFixed(3); // in σ of the prior
      }
      paint();
    },
    end: () => resized.disconnect(),
  };
}
