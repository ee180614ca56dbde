// The network with a test image inside: picture → stages of the encoder → mu and sigma → (the map lies here) → stages of the decoder
// → reconstruction. Each stage shows its feature maps as they are now. Ribbons join what follows each other.
import { digits, fixed, make } from "./dom.js";
import { how } from "./how.js";
import { gaussians } from "./gaussians.js";
import { showMaps, showPicture } from "./paint.js";

const MOST = 16; // maps of a stage that are shown
const SVG = "http://www.w3.org/2000/svg";

export function network(lab) {
  const input = make("canvas", { className: "picture", role: "img", "aria-label": "The test image that goes through the network" });
  const output = make("canvas", { className: "picture", role: "img", "aria-label": "Its reconstruction" });
  const called = make("span", {}, "image"), error = make("span", { className: "soft" });
  const turn = (by, name, sign) => make("button", { type: "button", className: "small", "aria-label": name, title: name, on: { click: () => choose(lab.watching.features + by) } }, sign);
  const first = make("figure", { className: "stop end" }, input, make("figcaption", {}, called),
    make("div", { className: "turn" }, turn(-1, "Previous test image", "‹"), turn(1, "Next test image", "›")));
  const last = make("figure", { className: "stop end" }, output, make("figcaption", {}, "reconstruction", make("br"), error));
  const posterior = gaussians();
  const rows = { encoder: make("div", { className: "row" }), decoder: make("div", { className: "row" }) };
  const encoder = make("section", { className: "panel encoder", "aria-label": "Encoder" },
    make("header", {}, make("h2", {}, "Encoder"), make("span", { className: "hint" }, "image to μ and σ"), how("network")), rows.encoder);
  const decoder = make("section", { className: "panel decoder", "aria-label": "Decoder" },
    make("header", {}, make("h2", {}, "Decoder"), make("span", { className: "hint" }, "z to image"), how("decoder")), rows.decoder);
  const ribbons = document.createElementNS(SVG, "svg");
  ribbons.setAttribute("class", "ribbons");
  ribbons.setAttribute("aria-hidden", "true");

  let stages = [], built = "", painted = "";

  /** Sends another test image through the network. */
  function choose(place) {
    const all = lab.about?.images.test ?? 1;
    lab.watch({ features: ((place % all) + all) % all }).catch(() => {});
  }

  /** The columns of stages, built anew when the model is another. Linear layers have no maps, only a number of features. */
  function build(maps) {
    const found = maps.length ? maps : (lab.about?.layers ?? []).filter(({ name }) => /^(encoder|decoder)/.test(name) && !/mu$|logvar$|output$/.test(name))
      .map(({ name, shape }) => ({ name, features: Number(/(\d+)\D*$/.exec(shape)?.[1] ?? 0) }));
    const wanted = JSON.stringify(found.map(({ name, shape, features }) => [name, shape, features]));
    if (wanted === built) return;
    built = wanted;
    stages = found.map(({ name, shape, features }) => {
      const part = name.startsWith("encoder") ? "encoder" : "decoder", short = name.replace(/^(encoder|decoder)\W?/, "") || name;
      const [channels, height, width] = shape ?? [features, 1, 1], most = Math.min(MOST, channels);
      const columns = most > 8 ? 2 : 1;
      const words = shape ? `${channels} maps of ${height} × ${width}` : `${features} features`;
      const shown = shape ? make("canvas", { className: "maps", role: "img", "aria-label": `${name}: ${words}` }) : make("div", { className: "units" });
      const caption = make("figcaption", {}, short, make("br"), make("span", { className: "soft" }, shape ? `${channels} × ${height}²` : words));
      return { name, part, shape, most, columns, shown, figure: make("figure", { className: "stop", title: `${name}: ${words}` }, shown, caption) };
    });
    rows.encoder.replaceChildren(first, ...stages.filter(({ part }) => part === "encoder").map(({ figure }) => figure), posterior.element);
    rows.decoder.replaceChildren(...stages.filter(({ part }) => part === "decoder").map(({ figure }) => figure), last);
    layout();
  }

  /** Gives stages the size that the panels leave them, and joins them by ribbons. */
  function layout() {
    for (const [part, row] of Object.entries(rows)) {
      const own = stages.filter((stage) => stage.part === part), room = row.getBoundingClientRect();
      if (!room.width) continue;
      const ends = part === "encoder" ? 84 + 100 : 84, gaps = 22 * (own.length + (part === "encoder" ? 1 : 0));
      const across = (room.width - ends - gaps) / own.reduce((sum, { columns }) => sum + columns, 0);
      for (const { shown, shape, most, columns } of own) {
        const lines = Math.ceil(most / columns), tile = Math.max(12, Math.min(46, across, (room.height - 44) / lines));
        if (shape) Object.assign(shown.style, { width: `${Math.floor(tile * columns)}px`, height: `${Math.floor(tile * lines)}px` });
        else Object.assign(shown.style, { width: "22px", height: `${Math.max(80, Math.min(room.height - 60, 280))}px` });
      }
    }
    join();
  }

  function join() {
    const flow = ribbons.parentElement?.getBoundingClientRect();
    if (!flow?.width) return;
    const stops = [input, ...stages.filter(({ part }) => part === "encoder").map(({ shown }) => shown), posterior.element, lab.map.square,
      ...stages.filter(({ part }) => part === "decoder").map(({ shown }) => shown), output];
    const boxes = stops.map((stop) => stop.getBoundingClientRect());
    const paths = [];
    for (let i = 0; i + 1 < boxes.length; i++) {
      const [a, b] = [boxes[i], boxes[i + 1]], [x0, x1] = [a.right - flow.left, b.left - flow.left];
      if (x1 - x0 < 2 || a.bottom < b.top || b.bottom < a.top) continue; // one below the other, as on a phone
      const mid = (x0 + x1) / 2, [t0, m0, b0] = [a.top, (a.top + a.bottom) / 2, a.bottom].map((y) => y - flow.top), [t1, m1, b1] = [b.top, (b.top + b.bottom) / 2, b.bottom].map((y) => y - flow.top);
      paths.push(["band", `M${x0} ${t0}C${mid} ${t0} ${mid} ${t1} ${x1} ${t1}V${b1}C${mid} ${b1} ${mid} ${b0} ${x0} ${b0}Z`]);
      paths.push(["pulse", `M${x0} ${m0}C${mid} ${m0} ${mid} ${m1} ${x1} ${m1}`]);
    }
    const wanted = paths.join();
    if (wanted === painted) return;
    painted = wanted;
    ribbons.replaceChildren(...paths.map(([className, d]) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", className);
      path.setAttribute("d", d);
      return path;
    }));
  }
  const resized = new ResizeObserver(layout);
  [rows.encoder, rows.decoder, lab.map.square].forEach((watched) => resized.observe(watched));

  return {
    encoder,
    decoder,
    ribbons,
    choose,
    show: join,
    about: () => {
      built = "";
    },
    frame({ features, kl }) {
      if (!features) return;
      build(features.stages ?? []);
      const { shape } = lab.about;
      showPicture(input, features.image, shape);
      showPicture(output, features.reconstruction, shape);
      called.textContent = `a ${lab.about.classes[features.label] ?? features.label}`;
      const mse = features.image.reduce((sum, x, i) => sum + ((x - features.reconstruction[i]) / 255) ** 2, 0) / features.image.length;
      error.textContent = `error ${digits(Math.sqrt(mse), 2)}`;
      error.title = `Root of the mean squared error of pixels from 0 to 1: ${fixed(Math.sqrt(mse), 3)}`;
      for (const maps of features.stages ?? []) {
        const stage = stages.find(({ name }) => name === maps.name);
        if (stage) showMaps(stage.shown, maps.maps, maps.shape, stage.columns, stage.most);
      }
      posterior.show(features.mu, features.logvar, kl);
    },
    end: () => resized.disconnect(),
  };
}
