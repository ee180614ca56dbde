// The page's two models in TensorFlow.js: the same layers, loss and optimiser. `run(backend, model, seconds)` trains on noise and returns
// the steps per second after three steps of warm-up, and the number of parameters.
/* global tf */
const BATCH = 64, SIZE = 28, LATENTS = 2;

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
  return { shape: [BATCH, SIZE, SIZE, 1], encode, decode, variables: [c1, c2, mu, logvar, first, u1, u2, last].flat() };
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
  return { shape: [BATCH, SIZE * SIZE], encode, decode, variables: [hidden, mu, logvar, first, last].flat() };
}

/** Cross-entropy with logits, summed over pixels, and the KL; means over the batch. */
function loss(model, x) {
  const [mu, logvar] = model.encode(x);
  const z = mu.add(logvar.mul(0.5).exp().mul(tf.randomNormal([BATCH, LATENTS])));
  const logits = model.decode(z);
  const cross = logits.relu().sub(logits.mul(x)).add(logits.abs().neg().exp().log1p());
  const kl = mu.square().add(logvar.exp()).sub(logvar).sub(1).mul(0.5);
  return cross.sum().add(kl.sum()).div(BATCH);
}

globalThis.run = async (backend, name, seconds) => {
  if (backend === "wasm") tf.wasm.setWasmPaths("wasm/");
  await tf.setBackend(backend);
  await tf.ready();
  const model = name === "basic" ? basic() : dense();
  const optimizer = tf.train.adam(0.002), x = tf.randomUniform(model.shape);
  const step = () => optimizer.minimize(() => loss(model, x), true, model.variables);
  for (let i = 0; i < 3; i++) (await step().data());
  const begun = performance.now();
  let steps = 0;
  while (performance.now() - begun < 1000 * seconds) {
    const cost = step();
    steps += 1;
    if (steps % 16 === 0) await cost.data(); // as often as the engine reads its losses
    cost.dispose();
  }
  await step().data();
  const parameters = model.variables.reduce((sum, { size }) => sum + size, 0);
  return { parameters, stepsPerSecond: (1000 * (steps + 1)) / (performance.now() - begun) };
};
