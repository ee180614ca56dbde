// The five guided experiments. What they say was measured with the engine, at the page's own settings; tests/pages/web_claims.mjs
// repeats the claims that a number can decide. `set` changes settings of settings.js, `second` those of a second model, `fresh` begins with new
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
        text: "*β = 0.01*: the KL is nearly free. The map opens to twice its size, and the white ellipse shrinks to a dot: each image gets a place of its own. In the *loss*, the KL rises about twentyfold, to twice what it was with β = 1, and the reconstruction gains only some ten nats by it.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["beta", "map"],
        text: "Back at *β = 1*, the ellipse grows and the KL halves. Drag the slider yourself. Each change leaves an orange line in the loss curves, so that you can see what followed from it.",
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
        text: "So give z more room. *Model A has 16 latents, model B has 2.* Both are the same otherwise. After some hundred steps, A’s copies follow each hand, and its reconstruction costs about 110 nats. B’s copies are still averages, and cost about 180.",
      },
      {
        set: { "model.z_dim": "16", "loss.beta": "10" },
        second: { "model.z_dim": "16", "loss.beta": "0.1" },
        look: ["copies", "posterior"],
        text: "The second cause is the noise in z. Both have 16 latents; *A has β = 10, B has β = 0.1*. A pays so much for each nat of KL that it keeps only a few latents in use (see the *posteriors*: pale rows say nothing) and blurs again. B keeps all 16.",
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
        text: "Now *β = 1*, with the same weights. Within some hundred steps the marks spread out again and the KL rises to about four nats. In a model as small as this one, a collapse is no dead end: as soon as a nat of KL saves more than a nat of reconstruction, the encoder speaks again.",
      },
      {
        set: { "model.z_dim": "16", "loss.beta": "10" },
        fresh: true,
        look: ["posterior", "loss"],
        text: "Collapse can be partial. *16 latents and β = 10*: watch the column of *posteriors*. Pale rows lie on the prior, they carry less than 0.1 nat. After some hundred steps only three to five are left in use: those that pay for themselves.",
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
        text: "*β = 0* makes it an autoencoder: nothing keeps the map together, and it grows far beyond the dotted circles (see the numbers on the axes). Move the pointer, or the arrow keys, over the places *between and beside the marks*: there the decoded images are smears that are no digit. These are the holes.",
      },
      {
        set: { "loss.beta": "0" },
        look: ["map", "posterior"],
        text: "New images are drawn from the prior, which lies within the dotted circles. Large parts of them hold no marks, and a draw from there decodes to a smear. The *posterior* is a needle: without noise, the decoder is not taught what lies beside an image.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["map"],
        text: "*β = 1* pulls the map together, and the needles become ellipses. More and more places within the circles decode to a digit. That is what the KL is for: it makes the prior a place to draw from.",
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
        text: "Now *β = −1*: the loss rewards a large KL, and a KL has no upper end. The marks flee outwards, the axes grow to thousands and more, and the *total falls and falls*, to minus billions, while the *reconstruction* gets worse. A falling loss is no proof of learning.",
      },
      {
        set: { "loss.beta": "1" },
        look: ["map", "loss"],
        text: "*β = 1* again does not save it: the weights have grown so much that the way back takes far longer than the way out. Begin anew with the round arrow. When you write a loss, look at its terms one by one: a KL that is negative, or that only grows, is a bug.",
      },
    ],
  },
];
