//! A variational autoencoder with nothing hidden: its own linear layer, Adam, binary cross-entropy and KL. Chapter 9 explains it.
//!
//! x [144] → 64 → μ, logvar [latents];  z = μ + e^(logvar/2)·ε;  z → 64 → logits [144]
//! loss = Σ bce(logits, x) + β·KL(N(μ, σ²) ‖ N(0, I)), a mean over images
//!
//! It uses tensors and their gradients, and no layer, loss or optimiser of the library. The pictures are blobs of 12×12 pixels.

use autograd::{Param, Var};
use tensor::{Generator, Tensor};

/// Width and height of a picture.
pub const SIZE: usize = 12;
/// Numbers of a picture.
pub const PIXELS: usize = SIZE * SIZE;
const HIDDEN: usize = 64;

/// A picture of a blob around this place.
pub fn picture(x: f32, y: f32) -> Vec<f32> {
    let brightness = |i: usize| {
        let (dx, dy) = ((i % SIZE) as f32 - x, (i / SIZE) as f32 - y);
        (-(dx * dx + dy * dy) / 3.0).exp()
    };
    (0..PIXELS).map(brightness).collect()
}

/// Pictures of blobs at random places: [count, 144], and the places [count, 2].
pub fn pictures(rng: &mut Generator, count: usize) -> (Tensor, Tensor) {
    let places = rng.uniform_tensor([count, 2], 2.0, 9.0);
    let pixels: Vec<f32> = places.data().chunks(2).flat_map(|place| picture(place[0], place[1])).collect();
    (Tensor::new(&pixels, [count, PIXELS]), places)
}

// ANCHOR: linear
/// y = x·Wᵀ + b.
pub struct Linear {
    weight: Param,
    bias: Param,
}

impl Linear {
    fn new(rng: &mut Generator, inputs: usize, outputs: usize) -> Linear {
        let scale = 1.0 / (inputs as f32).sqrt();
        Linear {
            weight: Param::new(rng.normal_tensor([outputs, inputs]) * scale),
            bias: Param::new(Tensor::zeros([outputs])),
        }
    }

    fn forward(&self, x: &Var) -> Var {
        x.matmul_nt(&self.weight.var()) + self.bias.var()
    }
}
// ANCHOR_END: linear

// ANCHOR: model
/// The five layers.
pub struct Vae {
    hidden: Linear,
    mu: Linear,
    logvar: Linear,
    widen: Linear,
    pixels: Linear,
    latents: usize,
}

impl Vae {
    /// Layers with random weights.
    pub fn new(rng: &mut Generator, latents: usize) -> Vae {
        Vae {
            hidden: Linear::new(rng, PIXELS, HIDDEN),
            mu: Linear::new(rng, HIDDEN, latents),
            logvar: Linear::new(rng, HIDDEN, latents),
            widen: Linear::new(rng, latents, HIDDEN),
            pixels: Linear::new(rng, HIDDEN, PIXELS),
            latents,
        }
    }

    /// μ and logvar of the posterior of each picture, [pictures, latents].
    pub fn encode(&self, x: &Tensor) -> (Var, Var) {
        let h = self.hidden.forward(&Var::constant(x.clone())).relu();
        (self.mu.forward(&h), self.logvar.forward(&h))
    }

    /// The logits of the pixels for each code, [pictures, pixels]. A pixel is sigmoid(logit).
    pub fn decode(&self, z: &Var) -> Var {
        self.pixels.forward(&self.widen.forward(z).relu())
    }

    fn params(&self) -> [&Param; 10] {
        let [a, b, c, d, e] = [&self.hidden, &self.mu, &self.logvar, &self.widen, &self.pixels];
        [&a.weight, &a.bias, &b.weight, &b.bias, &c.weight, &c.bias, &d.weight, &d.bias, &e.weight, &e.bias]
    }
}
// ANCHOR_END: model

// ANCHOR: losses
/// −log p(x|z): the binary cross-entropy, a sum over pixels and a mean over pictures.
pub fn bce(logits: &Var, x: &Tensor) -> Var {
    let of_pixel = logits.softplus() - logits * Var::constant(x.clone()); // ln(1 + eˡ) − x·l
    of_pixel.sum_all() / x.shape()[0] as f32
}

/// KL(N(μ, σ²) ‖ N(0, 1)) of each latent, a mean over pictures: [latents].
pub fn kl(mu: &Var, logvar: &Var) -> Var {
    let of_latent = (mu.square() + logvar.exp() - 1.0 - logvar) * 0.5;
    of_latent.mean(&[0], false)
}

/// z = μ + σ·ε.
pub fn draw(mu: &Var, logvar: &Var, eps: &Tensor) -> Var {
    mu + (logvar * 0.5).exp() * Var::constant(eps.clone())
}
// ANCHOR_END: losses

// ANCHOR: adam
/// Adam. For each parameter it keeps the running means m of the gradient and v of its square.
pub struct Adam {
    state: Vec<[Tensor; 2]>,
    step: i32,
}

impl Adam {
    fn new(params: &[&Param]) -> Adam {
        let zeros = |param: &&Param| [Tensor::zeros(param.shape()), Tensor::zeros(param.shape())];
        Adam { state: params.iter().map(zeros).collect(), step: 0 }
    }

    fn step(&mut self, params: &[&Param], gradients: &[Tensor], rate: f32) {
        self.step += 1;
        let (early1, early2) = (1.0 - 0.9f32.powi(self.step), 1.0 - 0.999f32.powi(self.step));
        for ((param, g), [m, v]) in params.iter().zip(gradients).zip(&mut self.state) {
            *m = &*m * 0.9 + g * 0.1;
            *v = &*v * 0.999 + g.square() * 0.001;
            let change = (&*m / early1) / ((&*v / early2).sqrt() + 1e-8);
            param.set(param.value() - change * rate);
        }
    }
}
// ANCHOR_END: adam

/// Losses in nats for each picture, as means over the last steps.
#[derive(Clone, Copy, Debug)]
pub struct Losses {
    /// −log p(x|z), of which no model can have less than the cross-entropy of the pixels with themselves.
    pub reconstruction: f32,
    /// The KL, without β.
    pub kl: f32,
}

/// Trains a model for 3,000 steps of 64 pictures, and calls `report` with the step and the losses after every 500.
// ANCHOR: train
pub fn train(model: &Vae, x: &Tensor, beta: f32, rng: &mut Generator, mut report: impl FnMut(usize, Losses)) {
    let params = model.params();
    let mut adam = Adam::new(&params);
    let mut sums = [0.0; 2];
    for step in 1..=3000 {
        let first = (step - 1) * 64 % (x.shape()[0] - 63);
        let batch = x.at(first..first + 64);

        let (mu, logvar) = model.encode(&batch);
        let z = draw(&mu, &logvar, &rng.normal_tensor([64, model.latents]));
        let reconstruction = bce(&model.decode(&z), &batch);
        let kl = kl(&mu, &logvar).sum_all();
        let loss = &reconstruction + &kl * beta;

        let gradients = loss.backward();
        let all: Vec<Tensor> =
            params.iter().map(|param| gradients.get(param).expect("a part of the loss").clone()).collect();
        adam.step(&params, &all, 2e-3);

        sums = [sums[0] + reconstruction.item(), sums[1] + kl.item()];
        if step % 500 == 0 {
            report(step, Losses { reconstruction: sums[0] / 500.0, kl: sums[1] / 500.0 });
            sums = [0.0; 2];
        }
    }
}
// ANCHOR_END: train
