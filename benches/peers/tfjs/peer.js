// The page's two models and that of our recipe `quickstart` in TensorFlow.js: the same layers, loss and optimiser. `run(backend, model, seconds)` trains on noise and returns
// the steps per second after three steps of warm-up, and the number of parameters.
/* global tf */
const BATCH = 64, SIZE = 28, LATENTS = 2; // `quickstart` has its own size and latents

const weight = (shape, fan) => tf.variable(tf.randomUniform(shape, -1 / Math.sqrt(fan), 1 / Math.sqrt(fan)));

/** 28 × 28 → 8 → 16 channels → z → 16 → 8 channels → 28 × 28, as `model.kind=basic` with `model.widths=8,16`. */
function basic() {
  const conv = (input, output) => [weight([3, 3, input, output], 9 * input), weight([output], 9 * input)];
  const up = (input, output) => [weight([3, 3, output, input], 9 * output), weight([output], 9 * output)];
  const linear = (input, output) => [weight([input, output], input), weight([output], input)];
  const [c1, c2, mu, logvar, first, u1, u2, last] = [
    conv(1, 8), conv(8, 16), linear(784, LATENTS), linear(784, LATENTS), linear(LATENTS, 784), up(16, 16), up(16, 8), up(8, 1),
  ];
  const encode = (x) => {
    x = x.conv2d(c1[0], 2, "same").add(c1[1]).relu();
    x = x.conv2d(c2[0], 2, "same").add(c2[1]).relu().reshape([BATCH, 784]);
    return [x.matMul(mu[0]).add(mu[1]), x.matMul(logvar[0]).add(logvar[1])];
  };
  const decode = (z) => {
    let x = z.matMul(first[0]).add(first[1]).reshape([BATCH, 7, 7, 16]);
    x = tf.conv2dTranspose(x, u1[0], [BATCH, 14, 14, 16], 2, "same").add(u1[1]).relu();
    x = tf.conv2dTranspose(x, u2[0], [BATCH, 28, 28, 8], 2, "same").add(u2[1]).relu();
    return tf.conv2dTranspose(x, last[0], [BATCH, 28, 28, 1], 1, "same").add(last[1]);
  };
  return { shape: [BATCH, SIZE, SIZE, 1], latents: LATENTS, rate: 0.002, encode, decode, variables: [c1, c2, mu, logvar, first, u1, u2, last].flat() };
}

/** 784 → 128 → z → 128 → 784, as `model.kind=dense` with `model.hidden=128`. */
function dense() {
  const linear = (input, output) => [weight([input, output], input), weight([output], input)];
  const [hidden, mu, logvar, first, last] = [linear(784, 128), linear(128, LATENTS), linear(128, LATENTS), linear(LATENTS, 128), linear(128, 784)];
  const encode = (x) => {
    x = x.matMul(hidden[0]).add(hidden[1]).relu();
    return [x.matMul(mu[0]).add(mu[1]), x.matMul(logvar[0]).add(logvar[1])];
  };
  const decode = (z) => z.matMul(first[0]).add(first[1]).relu().matMul(last[0]).add(last[1]);
  return { shape: [BATCH, SIZE * SIZE], latents: LATENTS, rate: 0.002, encode, decode, variables: [hidden, mu, logvar, first, last].flat() };
}

/** A ResNet-18 of width 16 with 16 latents and its mirror image, on 32 × 32 pixels, as `model.kind=resnet18` with `model.width=16`. */
function quickstart() {
  const LATENTS = 16, variables = [];
  const parameter = (value) => (variables.push(value), value);
  const linear = (input, output) => {
    const [w, b] = [parameter(weight([input, output], input)), parameter(weight([output], input))];
    return (x) => x.matMul(w).add(b);
  };
  /** Normalises channels with the moments of the batch, as training does, and keeps running ones as PyTorch does. */
  const batchNorm = (channels) => {
    const [gamma, beta] = [parameter(tf.variable(tf.ones([channels]))), parameter(tf.variable(tf.zeros([channels])))];
    const running = [tf.variable(tf.zeros([channels]), false), tf.variable(tf.ones([channels]), false)];
    return (x) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      for (const [kept, now] of [[running[0], mean], [running[1], variance]]) kept.assign(kept.mul(0.9).add(now.mul(0.1)));
      return x.sub(mean).mul(variance.add(1e-5).rsqrt().mul(gamma)).add(beta);
    };
  };
  const conv = (input, output, kernel, stride) => {
    const w = parameter(weight([kernel, kernel, input, output], kernel * kernel * input)), norm = batchNorm(output);
    return (x) => norm(x.conv2d(w, stride, "same"));
  };
  /** Doubles the size. */
  const up = (input, output) => {
    const w = parameter(weight([3, 3, output, input], 9 * output)), b = parameter(weight([output], 9 * output)), norm = batchNorm(output);
    return (x) => norm(tf.conv2dTranspose(x, w, [BATCH, 2 * x.shape[1], 2 * x.shape[2], output], 2, "same").add(b));
  };
  const block = (first, second, shortcut = (x) => x) => (x) => second(first(x).relu()).add(shortcut(x)).relu();
  const chain = (layers) => (x) => layers.reduce((x, layer) => layer(x), x);

  const widths = [16, 32, 64, 128], stem = conv(1, 16, 3, 2);
  const encoder = chain(widths.flatMap((w, i) => [
    i === 0 ? block(conv(w, w, 3, 1), conv(w, w, 3, 1)) : block(conv(w / 2, w, 3, 2), conv(w, w, 3, 1), conv(w / 2, w, 1, 2)),
    block(conv(w, w, 3, 1), conv(w, w, 3, 1)),
  ]));
  const [mu, logvar, first] = [linear(128, LATENTS), linear(128, LATENTS), linear(LATENTS, 128)];
  const decoder = chain(widths.toReversed().flatMap((w) => [
    block(conv(w, w, 3, 1), conv(w, w, 3, 1)),
    w === 16 ? block(conv(w, w, 3, 1), conv(w, w, 3, 1)) : block(conv(w, w, 3, 1), up(w, w / 2), up(w, w / 2)),
  ]));
  const [last, bias] = [parameter(weight([3, 3, 16, 1], 144)), parameter(weight([1], 144))];
  const encode = (x) => {
    x = encoder(stem(x).relu()).mean([1, 2]);
    return [mu(x), logvar(x)];
  };
  const decode = (z) => {
    const x = decoder(tf.image.resizeBilinear(first(z).reshape([BATCH, 1, 1, 128]), [2, 2], false, true));
    return tf.image.resizeBilinear(x, [32, 32], false, true).conv2d(last, 1, "same").add(bias);
  };
  return { shape: [BATCH, 32, 32, 1], latents: LATENTS, rate: 0.001, encode, decode, variables };
}

/** Cross-entropy with logits, summed over pixels, and the KL; means over the batch. */
function loss(model, x) {
  const [mu, logvar] = model.encode(x);
  const z = mu.add(logvar.mul(0.5).exp().mul(tf.randomNormal([BATCH, model.latents])));
  const logits = model.decode(z);
  const cross = logits.relu().sub(logits.mul(x)).add(logits.abs().neg().exp().log1p());
  const kl = mu.square().add(logvar.exp()).sub(logvar).sub(1).mul(0.5);
  return cross.sum().add(kl.sum()).div(BATCH);
}

globalThis.run = async (backend, name, seconds) => {
  if (backend === "wasm") tf.wasm.setWasmPaths("wasm/");
  await tf.setBackend(backend);
  await tf.ready();
  const model = { basic, dense, quickstart }[name]();
  const optimizer = tf.train.adam(model.rate), x = tf.randomUniform(model.shape);
  const step = () => optimizer.minimize(() => loss(model, x), true, model.variables);
  for (let i = 0; i < 2; i++) await step().data();
  const warm = performance.now();
  await step().data();
  const begun = performance.now();
  const read = begun - warm > 1000 ? 1 : 16; // a slow device would otherwise get many minutes of work at once
  let steps = 0;
  while (performance.now() - begun < 1000 * seconds) {
    const cost = step();
    steps += 1;
    if (steps % read === 0) await cost.data(); // 16: as often as the engine reads its losses
    cost.dispose();
  }
  await step().data();
  const parameters = model.variables.reduce((sum, { size }) => sum + size, 0);
  return { parameters, stepsPerSecond: (1000 * (steps + 1)) / (performance.now() - begun) };
};
