// Test images and what the model makes of them: x above, decoder(mu(x)) below.
import { make } from "./dom.js";
import { how } from "./how.js";
import { showPairs } from "./paint.js";

export function reconstructions(lab) {
  const canvas = make("canvas", { className: "pairs", role: "img", "aria-label": "Test images, each above its reconstruction" });
  const element = make("section", { className: "panel rebuilt", "aria-label": "Reconstructions" },
    make("header", {}, make("h2", {}, "Reconstructions"), make("span", { className: "hint" }, "image above, copy below"), how("reconstructions")), canvas);
  return {
    element,
    frame({ reconstructions: pairs }) {
      if (pairs?.images.length) showPairs(canvas, pairs.images, pairs.reconstructions, lab.about.shape, pairs.labels.length, Math.ceil(pairs.labels.length / 2));
    },
  };
}
