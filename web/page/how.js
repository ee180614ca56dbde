// What each panel shows and how it is computed: a short text and links to the files that do it. `web/build` copies the files that
// sources.txt names into source/, as text.
import { make } from "./dom.js";

const TEXTS = {
  map: {
    title: "The latent map",
    text: [
      "The encoder turns each image into a Gaussian over the latents z. Each mark is a test image, which the model never trains on, at the mean μ of its Gaussian. Colour and shape are its class. The model is not told the classes: where they part, it has found them by itself.",
      "The pictures behind the marks come from the decoder: each is decoded from the place where it lies. Dotted circles are one, two and three standard deviations of the prior N(0, I), from which new images are drawn.",
      "The white ellipse is the posterior of the image in the network, one and two σ wide. Click near a mark to send that image through. With more than two latents, the lists choose the two axes; the other latents are 0.",
    ],
    sources: ["vae/core/src/predict/mod.rs", "vae/core/src/learn/autoencoder.rs"],
  },
  network: {
    title: "The encoder",
    text: [
      "A stage is a convolution and a ReLU. Each small square is one feature map, one channel of the stage's output for the image on the left. Maps are scaled one by one from their smallest value (dark) to their largest (light).",
      "Two linear layers turn the last maps into μ and σ: a Gaussian for each latent (solid), beside the prior N(0, 1) (dotted). The KL measures how far apart they are. A latent that lies on the prior says nothing about the image.",
    ],
    sources: ["vae/core/src/model/convolutional.rs", "vae/core/src/model/dense.rs", "vae/core/src/model/gaussian.rs"],
  },
  decoder: {
    title: "The decoder",
    text: [
      "The decoder sees nothing but z. A linear layer makes small feature maps of it, and transposed convolutions enlarge them. A sigmoid gives each pixel a value from 0 to 1.",
      "Here z = μ, without noise. In training, z is drawn from the Gaussian, so the decoder learns images for a whole region around μ. The error is the root of the mean squared difference of pixels.",
    ],
    sources: ["vae/core/src/model/convolutional.rs", "vae/core/src/model/mod.rs"],
  },
  loss: {
    title: "The loss",
    text: [
      "Training makes one number small: total = reconstruction + β · KL, a mean over the images of a batch. Both terms are in nats (1 nat = 1.44 bits).",
      "The reconstruction term is the price of describing the image with the help of z. The KL is the price of z itself: how many nats the encoder's Gaussians differ from the prior. With β = 1 and cross-entropy, the total is the negative ELBO, the evidence lower bound.",
      "Each curve has its own scale. The thin line is each step, the thick one an average over some steps. Orange lines mark changes of β.",
    ],
    sources: ["vae/core/src/objective/mod.rs", "vae/core/src/objective/likelihood.rs", "nn/src/loss/kl.rs"],
  },
  reconstructions: {
    title: "Reconstructions",
    text: [
      "Test images, and below each what the decoder makes of its μ. With two latents, all of an image has to fit into two numbers, so a copy is a typical image of that place of the map and not the image itself.",
    ],
    sources: ["vae/core/src/predict/mod.rs", "vae/core/src/learn/autoencoder.rs"],
  },
  drawing: {
    title: "Draw a digit",
    text: [
      "Your drawing is moved and scaled as MNIST's digits are, 28 × 28 pixels with the centre of mass in the middle, and encoded while you draw. The pink ellipse on the map is its posterior. The model does not train on it, and nothing is sent anywhere.",
      "Draw something that is no digit: the encoder has to put it somewhere, and the decoder makes a digit of it.",
    ],
    sources: ["web/page/drawing.js", "vae/core/src/model/gaussian.rs"],
  },
};

export const sourceLink = (path) => make("a", { href: `source/${path}.txt`, target: "_blank", rel: "noopener" }, path);

/** The button that opens the text of a panel. */
export function how(name) {
  const { title, text, sources } = TEXTS[name];
  return make("button", {
    type: "button", className: "how", "aria-label": `How: ${title}`,
    on: { click: () => explain(title, text.map((line) => make("p", {}, line)), sources) },
  }, "how");
}

/** Shows a text in a dialog, with links to files. */
export function explain(title, body, sources = []) {
  const close = make("button", { type: "button", className: "primary" }, "Close");
  const id = `how-${performance.now().toString(36).replace(".", "")}`;
  const dialog = make("dialog", { className: "text", "aria-labelledby": id }, make("h2", { id }, title), ...body,
    sources.length ? make("p", { className: "source" }, "Computed in ", ...sources.flatMap((path, k) => [k ? ", " : "", sourceLink(path)]), ".") : null,
    make("div", { className: "ends" }, close));
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
