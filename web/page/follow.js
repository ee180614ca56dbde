// One batch, followed from the pixels to the new weights. All numbers are those of the engine; the page only writes them down.
import { digits, fixed, make } from "./dom.js";
import { showMaps, showPicture } from "./paint.js";
import { sourceLink } from "./how.js";

const SHOWN = 4; // latents that are written out

let dialog = null;

/** A number behind a sign of multiplication or subtraction: negative ones in brackets. */
const factor = (x) => (x < 0 ? `(${fixed(x, 3)})` : fixed(x, 3));

function picture(bytes, shape, name) {
  const canvas = make("canvas", { className: "picture", role: "img", "aria-label": name });
  showPicture(canvas, bytes, shape);
  return make("figure", {}, canvas, make("figcaption", {}, name));
}

function maps({ name, shape, maps: bytes }) {
  const canvas = make("canvas", { className: "maps", role: "img", "aria-label": `Feature maps of ${name}` }), most = Math.min(16, shape[0]);
  showMaps(canvas, bytes, shape, Math.min(8, most), most);
  canvas.style.setProperty("--ratio", canvas.width / canvas.height); // of the stylesheet's height, and narrower on a phone
  return make("figure", {}, canvas, make("figcaption", {}, `${name}, ${shape.join(" × ")}`));
}

const part = (number, title, path, ...children) => make("section", { className: "chapter" },
  make("h3", {}, make("span", { className: "ordinal" }, String(number)), title), ...children, make("p", { className: "source" }, sourceLink(path)));
const table = (caption, heads, rows) => make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, make("table", {},
  make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
  make("tbody", {}, ...rows.map(([head, ...cells]) => make("tr", {}, make("th", { scope: "row" }, head), ...cells.map((cell) => make("td", {}, cell)))))));

function chapters(lab, report) {
  const { shape, beta, classes, is_beta_loss: isBeta } = lab.about, { mu, logvar, sigma, eps, z, kl_per_latent: kl, losses, after, image_losses: own } = report;
  const dims = [...mu.keys()].slice(0, SHOWN), left = mu.length - dims.length, more = left > 0 ? ` The first ${dims.length} of ${mu.length} latents are written out.` : "";
  const encoder = report.stages?.filter(({ name }) => name.startsWith("encoder")) ?? [], decoder = report.stages?.filter(({ name }) => name.startsWith("decoder")) ?? [];
  const sign = beta < 0 ? "−" : "+", weight = digits(Math.abs(beta), 2);
  const equation = ({ total, reconstruction, kl: nats }) => !isBeta ? `total = ${fixed(total, 2)}, with reconstruction = ${fixed(reconstruction, 2)} and KL = ${fixed(nats, 2)}` : `${fixed(total, 2)} = ${fixed(reconstruction, 2)} ${sign} ${weight} × ${fixed(nats, 2)}`;
  const moved = [...report.gradients].sort((a, b) => b.norm - a.norm);
  const highest = Math.max(...moved.map(({ norm }) => norm), 1e-30);
  return [
    part(1, "A batch of pictures", "vae/core/src/data/batches.rs",
      make("p", {}, `${report.images} training images go through the network together. The first is followed here: a ${classes[report.label] ?? report.label}, ${shape[1]} × ${shape[2]} pixels, each a number from 0 (black) to 1.`),
      picture(report.image, shape, "the image x")),
    part(2, "The encoder says where z may be", lab.settings["model.kind"] === "dense" ? "vae/core/src/model/dense.rs" : "vae/core/src/model/convolutional.rs",
      make("p", {}, `Two linear layers at its end give, for each latent, a mean μ and the logarithm of a variance, logvar. The standard deviation is σ = exp(logvar / 2).${more}`),
      make("div", { className: "gallery" }, ...encoder.map(maps)),
      table("The posterior", ["latent", "μ", "logvar", "σ"], dims.map((k) => [`z${k + 1}`, fixed(mu[k], 3), fixed(logvar[k], 3), fixed(sigma[k], 3)]))),
    part(3, "A draw from it", "vae/core/src/model/mod.rs",
      make("p", {}, "z is drawn from N(μ, σ²). The noise ε is drawn from N(0, 1) and then scaled, z = μ + σ · ε, so that gradients can flow through μ and σ. This is the reparameterisation trick."),
      ...dims.map((k) => make("p", { className: "equation" }, `z${k + 1} = ${fixed(mu[k], 3)} + ${fixed(sigma[k], 3)} × ${factor(eps[k])} = ${fixed(z[k], 3)}`))),
    part(4, "The decoder makes an image of z", lab.settings["model.kind"] === "dense" ? "vae/core/src/model/dense.rs" : "vae/core/src/model/convolutional.rs",
      make("div", { className: "gallery" }, ...decoder.map(maps), picture(report.reconstruction, shape, "the reconstruction x̂"))),
    part(5, "The loss", "vae/core/src/objective/mod.rs",
      make("p", {}, `For this image the reconstruction costs ${fixed(own.reconstruction, 2)} nats and the KL ${fixed(own.kl, 2)} nats. The KL of a latent is ½ (μ² + σ² − ln σ² − 1): how far its Gaussian is from N(0, 1).`),
      ...dims.map((k) => make("p", { className: "equation" }, `KL of z${k + 1} = ½ (${fixed(mu[k] ** 2, 3)} + ${fixed(sigma[k] ** 2, 3)} − ${factor(logvar[k])} − 1) = ${fixed(kl[k], 3)}`)),
      make("p", {}, isBeta ? "The loss of the batch is the mean over its images, total = reconstruction + β · KL:"
        : "The loss of the batch is the mean over its images. This run weighs its terms in another way, which its configuration says:"),
      make("p", { className: "equation strong" }, equation(losses))),
    part(6, "Gradients, and Adam's step", "tensor/src/ops/optimizer.rs",
      make("p", {}, `The backward pass gives each weight its share in the loss. Adam then moves each by about the learning rate, ${digits(report.learning_rate, 2)}, against its gradient. The columns are lengths: the root of the sum of squares.`),
      table("Gradients of each parameter", ["parameter", "shape", "gradient", "weight", "change"], moved.map(({ name, shape: size, norm, weight: length, update }) => {
        const bar = make("i", { className: "bar" });
        bar.style.width = `${(100 * norm) / highest}%`;
        return [name, size, make("span", { className: "barred" }, digits(norm), bar), digits(length), digits(update)];
      }))),
    part(7, "After the step", "vae/core/src/train/mod.rs",
      make("p", {}, "The same batch with the same noise, before and after the step:"),
      make("p", { className: "equation" }, `before  ${equation(losses)}`),
      make("p", { className: "equation strong" }, `after   ${equation(after)}`),
      make("p", {}, after.total < losses.total
        ? `The loss of this batch fell by ${digits(losses.total - after.total, 2)} nats. The next batch has other images, so the curve is rough.`
        : `The loss of this batch rose by ${digits(after.total - losses.total, 2)} nats. That happens: Adam also follows the gradients of earlier batches.`)),
  ];
}

/** Shows the answer to `step`. */
export function follow(lab, report) {
  dialog?.remove();
  const next = make("button", { type: "button", className: "primary" }, "Next batch"), close = make("button", { type: "button" }, "Close");
  const on = make("button", { type: "button" }, "Close and run");
  const body = make("div", { className: "chapters", tabIndex: 0, role: "region", "aria-label": "The step in seven parts" });
  const title = make("h2", { id: "follow-title" });
  dialog = make("dialog", { className: "follow", "aria-labelledby": "follow-title" },
    make("header", {}, title, next, on, close), body);
  const show = (one) => {
    title.textContent = `Step ${one.step}: one batch, from pixels to new weights`;
    body.replaceChildren(...chapters(lab, one));
  };
  next.addEventListener("click", async () => {
    next.disabled = true;
    try {
      show(await lab.client.ask("step"));
      await lab.watch();
    } catch (error) {
      body.replaceChildren(make("p", { role: "alert" }, error.message));
    }
    next.disabled = false;
  });
  close.addEventListener("click", () => dialog.close());
  on.addEventListener("click", () => { dialog.close(); lab.setRunning(true); });
  document.body.append(dialog);
  show(report);
  dialog.showModal();
}
