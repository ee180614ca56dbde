// The five guided experiments. What they say was seen with the engine, at the page's own settings; tests/pages/web.mjs repeats the
// claims that a number can decide. `set` changes settings of settings.js, `second` those of a second model, `fresh` begins with new
// weights, `look` marks panels, *stars* stress words.

export const EXPERIMENTS = [
  {
    id: "beta",
    title: "What does β do?",
    about: "The loss has two parts that pull in opposite directions. β says which is stronger.",
    steps: [
      {
        fresh: true,
        look: ["map", "loss"],
        text: "The loss is reconstruction + β · KL. With *β = 1* watch the *map*: digits part into regions, because that helps to draw them again. The KL pulls all marks towards the centre and keeps the map as dense as the dotted circles of the prior.",
      },
      {
        set: { "loss.beta": "20" },
        look: ["beta", "map", "copies"],
        text: "Now *β = 20*: each nat of KL costs twenty nats of loss. The map shrinks and the white ellipse grows: the encoder may say less about each image. In the *loss*, the KL falls and the reconstruction rises. The *copies* lose what sets one digit apart from its neighbours.",
      },
      {
        set: { "loss.beta": "0.01" },
        look: ["beta", "map", "loss"],
        text: "*β = 0.01*: the KL is nearly free. The marks spread far beyond the circles (look at the numbers on the axes) and the ellipse shrinks to a dot: each image gets a place of its own. The reconstruction falls a little, and the KL rises a lot.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["beta", "map"],
        text: "Back at *β = 1*, the map contracts again. Drag the slider yourself. Each change leaves an orange line in the loss curves, so that you can see what followed from it.",
      },
    ],
  },
  {
    id: "blur",
    title: "Why does it blur?",
    about: "Two numbers cannot hold a picture, and a decoder that is unsure draws the average.",
    steps: [
      {
        fresh: true,
        look: ["copies", "map"],
        text: "Look at the *copies*: they are smooth, and strokes fade where people write differently. Look at the white ellipse on the *map*: many images lie inside it, and from z the decoder cannot tell which of them it was. The image that costs least on average is their mean, and a mean of sharp images is blurred.",
      },
      {
        set: { "model.z_dim": "16" },
        second: { "model.z_dim": "2" },
        look: ["copies"],
        text: "So give z more room. *Model A has 16 latents, model B has 2.* Both are the same otherwise. After some hundred steps, A’s copies follow each hand, and its reconstruction loss is far lower. B’s copies are still averages.",
      },
      {
        set: { "model.z_dim": "16", "loss.beta": "10" },
        second: { "model.z_dim": "16", "loss.beta": "0.1" },
        look: ["copies", "posterior"],
        text: "The second cause is the noise in z. Both have 16 latents; *A has β = 10, B has β = 0.1*. A pays so much for precise latents that it keeps few of them in use and blurs again. B keeps nearly all of them.",
      },
    ],
  },
  {
    id: "collapse",
    title: "Posterior collapse",
    about: "If the KL weighs too much, the encoder gives up and says nothing.",
    steps: [
      {
        set: { "loss.beta": "100" },
        fresh: true,
        look: ["map", "posterior", "copies"],
        text: "*β = 100* from the first step. All marks fall onto the centre, the posterior (solid) lies on the prior (dotted), and the KL is near 0. The decoder learns nothing about the image from z, so all *copies are the same*: the mean of all digits.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["map", "loss"],
        text: "Now *β = 1*, with the same weights. The KL rises again once the encoder finds something that is worth its price. A collapsed model learns slowly at first, because encoder and decoder each wait for the other.",
      },
      {
        set: { "model.z_dim": "16", "loss.beta": "4" },
        fresh: true,
        look: ["posterior", "loss"],
        text: "Collapse can be partial. *16 latents and β = 4*: watch the column of *posteriors*. Pale rows lie on the prior: they carry less than 0.1 nat. The model uses only as many latents as pay for themselves.",
      },
    ],
  },
  {
    id: "holes",
    title: "Holes in the latent space",
    about: "Without the KL there is no reason why a point between two images should decode to an image.",
    steps: [
      {
        set: { "loss.beta": "0" },
        fresh: true,
        look: ["map"],
        text: "*β = 0* makes it an autoencoder: nothing keeps the map together. Wait until the marks have spread, then move the pointer over the *map*, or the arrow keys. Between the arms of the map, and outside, the decoded images are broken or lie between digits: holes.",
      },
      {
        set: { "loss.beta": "0" },
        look: ["map", "posterior"],
        text: "New images are drawn from the prior, which fills the dotted circles. Most marks are outside of them, so such a draw meets places that the decoder has never been trained on. The *posterior* is a needle: noise no longer teaches the decoder the neighbourhood of an image.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["map"],
        text: "*β = 1* pulls the map together. The holes close, and nearly every place within the circles decodes to a digit. That is what the KL is for: it makes the prior a place to draw from.",
      },
    ],
  },
  {
    id: "sign",
    title: "Break it: KL with the wrong sign",
    about: "One wrong sign is a common bug. Here is what it looks like.",
    steps: [
      {
        fresh: true,
        look: ["map", "loss"],
        text: "The right sign first: *β = 1*. Give it some hundred steps, so that there is something to break.",
      },
      {
        set: { "loss.beta": "-1" },
        look: ["map", "loss", "beta"],
        text: "Now *β = −1*: the loss rewards a large KL, and a KL has no upper end. The marks flee outwards, the axes grow and grow, and the *total falls and falls*, below zero. A falling loss is no proof of learning: look at the reconstructions.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["map", "loss"],
        text: "With *β = 1* again, the model finds its way back, if its numbers have not overflowed. (If they had, the page says so and offers to begin anew.) Compare the two terms with what you expect whenever you write a loss: a KL below 0 or one that only grows is a bug.",
      },
    ],
  },
];
