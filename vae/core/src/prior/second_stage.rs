//! The second stage of the two-stage VAE (Dai and Wipf, 1903.05789, section 4): a small VAE of fully connected layers that is trained
//! on the latents z of the first. Its latents u have as many dimensions. The latents z are standardised first; the loss is a bound:
//!
//! ```text
//! p(u) = N(0, I),   p(z|u) = N(f(u), γ²I),   q(u|z) = N(m(z), diag s²(z))
//! −ln p(z) ≤ E [½|z − f(u)|²/γ² + d·ln γ + ½d·ln 2π] + KL(q(u|z) ‖ N(0, I)) + Σ_i ln deviation_i,   u ~ q(u|z)
//! ```
//!
//! γ is one number that is learnt. A draw is z = mean + deviation·(f(u) + γ·ε) with u and ε ~ N(0, I), so it has the variance of the
//! decoder, as in the authors' code. Encoder and decoder are layers of the same width with relu between them.

use std::f32::consts::TAU;

use autograd::{Buffer, Param, Var, no_grad};
use nn::{ForwardContext, Layer, Linear, loss};
use tensor::{Device, Generator, Tensor};

use super::{Prior, Trainable};
use crate::config;

/// The logarithm of γ at first. From γ = 1 on, the KL outweighs the error, and the posteriors may collapse to N(0, I).
const START: f32 = -2.0;
/// The number of draws of u with which the bound of a latent is estimated.
const DRAWS: usize = 16;

/// A VAE of d latents.
pub(super) struct SecondStage {
    mean: Buffer,      // [1, d]: of the latents
    deviation: Buffer, // [1, d]
    encoder: Mlp,
    decoder: Mlp,
    log_gamma: Param, // [1]
}

nn::module!(SecondStage { mean, deviation, encoder, decoder, log_gamma });

struct Mlp {
    hidden: Vec<Linear>,
    last: Linear,
}

nn::module!(Mlp { hidden, last });

impl Mlp {
    fn new(rng: &mut Generator, settings: &config::Prior, input: usize, output: usize) -> Mlp {
        let width = settings.width();
        let inputs = std::iter::once(input).chain(std::iter::repeat(width));
        let hidden = inputs.take(settings.blocks()).map(|input| Linear::new(rng, input, width)).collect();
        Mlp { hidden, last: Linear::new(rng, width, output) }
    }

    fn forward(&self, x: &Var) -> Var {
        let ctx = ForwardContext::eval();
        let h = self.hidden.iter().fold(x.clone(), |h, layer| layer.forward(&h, &ctx).relu());
        self.last.forward(&h, &ctx)
    }
}

impl SecondStage {
    /// Creates a VAE of `d` latents.
    pub(super) fn new(rng: &mut Generator, settings: &config::Prior, d: usize) -> SecondStage {
        SecondStage {
            mean: Buffer::new(Tensor::zeros([1, d])),
            deviation: Buffer::new(Tensor::ones([1, d])),
            encoder: Mlp::new(rng, settings, d, 2 * d),
            decoder: Mlp::new(rng, settings, d, d),
            log_gamma: Param::new(Tensor::full([1], START)),
        }
    }

    /// The number of weights of such a VAE.
    pub(super) fn weights(settings: &config::Prior, d: usize) -> f64 {
        let [width, blocks, d] = [settings.width(), settings.blocks(), d].map(|n| n as f64);
        2.0 * (blocks - 1.0) * width * (width + 1.0) + 2.0 * width * (d + 1.0) + 3.0 * d * (width + 1.0) + 2.0 * d + 1.0
    }

    /// Returns the bound of latents in nats with a draw of u for each, `[n, d]` → `[n]`. `noise` is `[n, d]`.
    fn bound(&self, latents: &Tensor, noise: &Tensor) -> Var {
        let (d, deviation) = (latents.shape()[1], self.deviation.value());
        let z = Var::constant(latents.sub(&self.mean.value()).div(&deviation));
        let both = self.encoder.forward(&z);
        let (m, logvar) = (both.slice(1, 0, d), both.slice(1, d, d));
        let error = self.decoder.forward(&m.reparameterise(&logvar, noise)) - z;
        let log_gamma = self.log_gamma.var();
        let squares = error.square().sum(&[1], false) * log_gamma.mul_scalar(-2.0).exp();
        let kl = loss::gaussian_kl_per_dim(&m, &logvar).sum(&[1], false);
        let constant = deviation.log().add_scalar(0.5 * TAU.ln()).sum(&[1], false); // [1]
        squares.mul_scalar(0.5) + log_gamma.mul_scalar(d as f32) + kl + Var::constant(constant)
    }
}

impl Prior for SecondStage {
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let shape = [count, self.mean.shape()[1]];
        let [u, noise] = [(); 2].map(|()| rng.normal_tensor(shape).upload(device));
        let decoded = no_grad(|| self.decoder.forward(&Var::constant(u)));
        let gamma = self.log_gamma.value().exp();
        decoded.value().add(&noise.mul(&gamma)).mul(&self.deviation.value()).add(&self.mean.value())
    }

    /// The bound with fixed noise, the mean of a few draws of u.
    fn nats(&self, latents: &Tensor) -> Tensor {
        let rng = &mut Generator::new(0);
        let mut bound = || {
            let noise = rng.normal_tensor(latents.shape()).upload(&latents.device());
            no_grad(|| self.bound(latents, &noise)).value().clone()
        };
        let sum = (1..DRAWS).fold(bound(), |sum, _| sum.add(&bound()));
        sum.mul_scalar(1.0 / DRAWS as f32)
    }

    fn nats_are_a_bound(&self) -> bool {
        true
    }

    fn words(&self) -> String {
        format!("second-stage VAE of {} latents", self.mean.shape()[1])
    }
}

impl Trainable for SecondStage {
    /// Measures the mean and the deviation of each latent.
    fn prepare(&self, latents: &Tensor) {
        let [mean, deviation] = super::moments(latents);
        self.mean.set(mean);
        self.deviation.set(deviation);
    }

    /// The mean of the bound in nats, with one draw of u for each latent.
    fn loss(&self, latents: &Tensor, rng: &mut Generator) -> Var {
        let noise = rng.normal_tensor(latents.shape()).upload(&latents.device());
        self.bound(latents, &noise).mean_all()
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::prior::Fitting;

    fn settings(width: usize, blocks: usize) -> config::Prior {
        config::Prior { width: Some(width), blocks: Some(blocks), ..config::Prior::default() }
    }

    fn random(d: usize) -> SecondStage {
        let rng = &mut Generator::new(5);
        let vae = SecondStage::new(rng, &settings(6, 2), d);
        vae.log_gamma.set(Tensor::full([1], -0.4));
        vae.mean.set(rng.normal_tensor([1, d]));
        vae.deviation.set(rng.uniform_tensor([1, d], 0.5, 1.5));
        vae
    }

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        tensor.data().iter().map(|&x| f64::from(x)).collect()
    }

    /// The layers in f64.
    fn naive(mlp: &Mlp, x: &[f64]) -> Vec<f64> {
        let all = nn::parameters(mlp);
        all.chunks_exact(2).enumerate().fold(x.to_vec(), |x, (i, pair)| {
            let (w, b) = (numbers(&pair[0].1.value()), numbers(&pair[1].1.value()));
            let row = |j: usize| w[j * x.len()..][..x.len()].iter().zip(&x).map(|(w, x)| w * x).sum::<f64>() + b[j];
            (0..b.len()).map(|j| if 2 * (i + 1) < all.len() { row(j).max(0.0) } else { row(j) }).collect()
        })
    }

    /// The definition in f64, with the noise of the draw given.
    #[test]
    fn the_bound_is_the_definition_s() {
        let (vae, z, noise) = (random(2), [0.8_f32, -0.3], [0.5_f32, -1.2]);
        let (mean, deviation) = (numbers(&vae.mean.value()), numbers(&vae.deviation.value()));
        let x: Vec<f64> = (0..2).map(|i| (f64::from(z[i]) - mean[i]) / deviation[i]).collect();
        let (posterior, gamma) = (naive(&vae.encoder, &x), f64::from(-0.4_f32).exp());
        let u: Vec<f64> = (0..2).map(|i| posterior[i] + (0.5 * posterior[2 + i]).exp() * f64::from(noise[i])).collect();
        let decoded = naive(&vae.decoder, &u);
        let of = |i: usize| {
            let kl = 0.5 * (posterior[i].powi(2) + posterior[2 + i].exp() - 1.0 - posterior[2 + i]);
            let error = 0.5 * ((x[i] - decoded[i]) / gamma).powi(2);
            error + gamma.ln() + 0.5 * std::f64::consts::TAU.ln() + kl + deviation[i].ln()
        };
        let found = vae.bound(&Tensor::new(&z, [1, 2]), &Tensor::new(&noise, [1, 2])).value().data()[0];
        assert!((f64::from(found) - of(0) - of(1)).abs() < 1e-5, "{found}, expected {}", of(0) + of(1));
    }

    /// p(z) = ∫ N(u; 0, 1)·N(z; f(u), γ²) du on a grid, for one latent. It integrates to 1, draws have its moments, and the bound is
    /// above −ln p(z) for each z.
    #[test]
    fn draws_have_the_density_and_the_bound_is_above_it() {
        let vae = random(1);
        let (mean, deviation, gamma) = (vae.mean.value().data()[0], vae.deviation.value().data()[0], 0.6703_f64);
        let us: Vec<f64> = (-600..=600).map(|i| f64::from(i) * 0.01).collect();
        let decoded: Vec<f64> = us.iter().map(|&u| naive(&vae.decoder, &[u])[0]).collect();
        let normal = |x: f64, s: f64| (-0.5 * (x / s).powi(2)).exp() / (s * std::f64::consts::TAU.sqrt());
        let density = |z: f64| -> f64 {
            let x = (z - f64::from(mean)) / f64::from(deviation);
            let each = us.iter().zip(&decoded).map(|(&u, f)| normal(u, 1.0) * normal(x - f, gamma));
            0.01 * each.sum::<f64>() / f64::from(deviation)
        };
        let zs: Vec<f64> = (-400..=400).map(|i| f64::from(mean) + 0.02 * f64::from(i)).collect();
        let moment = |k: i32| 0.02 * zs.iter().map(|&z| z.powi(k) * density(z)).sum::<f64>();
        assert!((moment(0) - 1.0).abs() < 1e-3, "{}", moment(0));
        let drawn = numbers(&vae.draw(40_000, &Device::Cpu, &mut Generator::new(3)));
        for k in [1, 2] {
            let found = drawn.iter().map(|z| z.powi(k)).sum::<f64>() / 40_000.0;
            assert!((found - moment(k)).abs() < 0.03, "moment {k}: {found}, expected {}", moment(k));
        }
        for z in [-1.0_f32, 0.0, 0.7, 2.0] {
            let many = Tensor::full([4000, 1], z);
            let bound = f64::from(vae.bound(&many, &Generator::new(2).normal_tensor([4000, 1])).mean_all().item());
            let exact = -density(f64::from(z)).ln();
            assert!(bound > exact - 0.01 && bound < exact + 1.5, "{z}: {bound} for {exact}");
        }
    }

    /// z₁ ~ N(0, 2²) and z₂ = ½z₁² + ½ε have an entropy of 2.838 nats, and a Gaussian with their covariance needs 4.586
    /// (`maf.rs`). No bound is below the entropy; what is learnt is a nat below the Gaussian, and its draws have the moments.
    #[test]
    fn a_banana_is_learnt_beyond_a_gaussian() {
        let banana = |seed: u64| {
            let noise = Generator::new(seed).normal_tensor([4000, 2]);
            let rows = noise.data().chunks_exact(2).flat_map(|e| [2.0 * e[0], 2.0 * e[0] * e[0] + 0.5 * e[1]]);
            Tensor::new(&rows.collect::<Vec<f32>>(), [4000, 2])
        };
        let settings = config::Prior { epochs: Some(60), batch_size: 100, learning_rate: 3e-3, ..settings(64, 2) };
        let vae = SecondStage::new(&mut Generator::new(1), &settings, 2);
        let mut fitting = Fitting::new(Box::new(vae), settings, 1, Device::Cpu, &banana(3));
        for _ in 0..60 {
            block_on(fitting.epoch(&banana(3))).unwrap();
        }
        let nats = fitting.prior.nats(&banana(4)).mean_all().data()[0];
        assert!(nats > 2.838 - 0.05 && nats < 4.586 - 1.0, "{nats}");
        let drawn = fitting.prior.draw(20_000, &Device::Cpu, &mut Generator::new(9));
        let mean = |f: &dyn Fn(f32, f32) -> f32| {
            let sum: f64 = drawn.data().chunks_exact(2).map(|z| f64::from(f(z[0], z[1] - 2.0))).sum();
            sum / 20_000.0
        };
        let found = [mean(&|a, _| a), mean(&|_, b| b), mean(&|a, _| a * a), mean(&|a, b| a * b), mean(&|_, b| b * b)];
        for (found, (truth, bound)) in found.iter().zip([(0.0, 0.3), (0.0, 0.5), (4.0, 0.8), (0.0, 1.5), (8.25, 2.5)]) {
            assert!((found - truth).abs() < bound, "{found}, expected {truth}");
        }
    }

    #[test]
    fn the_number_of_weights_is_estimated() {
        for (width, blocks, d) in [(8, 1, 1), (64, 3, 20)] {
            let vae = SecondStage::new(&mut Generator::new(1), &settings(width, blocks), d);
            assert_eq!(SecondStage::weights(&settings(width, blocks), d), (nn::count(&vae) + 2 * d) as f64);
        }
    }
}
