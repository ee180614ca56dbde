//! Flow matching (Lipman et al., 2210.02747; with the straight paths of Liu et al., 2209.03003): a velocity field v that carries
//! N(0, I) at time 0 to the distribution of the latents at time 1. Latents are standardised first.
//!
//! ```text
//! z_t = (1 − t)·ε + t·z,   ε ~ N(0, I),  t ~ U(0, 1)      loss = mean |v(z_t, t) − (z − ε)|², over latents and dimensions
//! dz/dt = v(z, t),   z(0) ~ N(0, I)                       solved by Heun's method with equal steps
//! ```
//!
//! The density follows from the instantaneous change of variables (Chen, Rubanova, Bettencourt and Duvenaud, 1806.07366, theorem 1).
//! The equation is solved from t = 1 to 0 with the same steps, and the divergence of v is added up on the way:
//!
//! ```text
//! −ln p(z) = ½|z(0)|² + ½d·ln 2π + ∫₀¹ div v(z(t), t) dt + Σ_i ln deviation_i,   z(1) = (z − mean)/deviation
//! div v = Σ_i e_iᵀ(∂v/∂z)e_i               exact, for d ≤ 4: a backward pass for each unit vector e_i
//! div v = E eᵀ(∂v/∂z)e,  e_i = ±1          for d > 4: one backward pass with a fixed random e for each latent
//! ```
//!
//! The second is the estimator of Hutchinson (1990), as Grathwohl et al. (1810.01367) use it. It has no bias. For one latent its
//! variance is 2·Σ_{i≠j} S_ij², where S is the symmetric part of ∂v/∂z; the mean over many latents has a small error.
//!
//! The network: with φ(t) = (cos 2πf_i·t, sin 2πf_i·t) for f_i = ½, 1, 2, … 64,
//!
//! ```text
//! h = W·[z, φ(t)];   for each block:  h ← h + W₂·silu(W₁·[norm h, φ(t)]);   v = W₀·norm h
//! ```

use std::f32::consts::TAU;

use autograd::{Buffer, Var, no_grad};
use nn::{ForwardContext, Layer, LayerNorm, Linear};
use tensor::{Device, Generator, Tensor};

use super::{Prior, Trainable};
use crate::config;

/// The number of frequencies of φ.
const FREQUENCIES: usize = 8;
/// The number of latents that are drawn at once.
const CHUNK: usize = 1024;
/// The largest number of dimensions whose divergence is computed exactly.
const EXACT: usize = 4;

/// A velocity field of d latents.
pub(super) struct Flow {
    mean: Buffer,      // [1, d]: of the latents
    deviation: Buffer, // [1, d]
    first: Linear,
    blocks: Vec<Block>,
    norm: LayerNorm,
    last: Linear,
    steps: usize,
}

nn::module!(Flow { mean, deviation, first, blocks, norm, last });

struct Block {
    norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

nn::module!(Block { norm, widen, narrow });

impl Flow {
    /// Creates a field of `d` latents.
    pub(super) fn new(rng: &mut Generator, settings: &config::Prior, d: usize) -> Flow {
        let (width, times) = (settings.width(), 2 * FREQUENCIES);
        let block = |rng: &mut Generator| Block {
            norm: LayerNorm::new([width]),
            widen: Linear::new(rng, width + times, 2 * width),
            narrow: Linear::new(rng, 2 * width, width),
        };
        Flow {
            mean: Buffer::new(Tensor::zeros([1, d])),
            deviation: Buffer::new(Tensor::ones([1, d])),
            first: Linear::new(rng, d + times, width),
            blocks: (0..settings.blocks()).map(|_| block(rng)).collect(),
            norm: LayerNorm::new([width]),
            last: Linear::new(rng, width, d),
            steps: settings.steps,
        }
    }

    /// The number of weights of such a field.
    pub(super) fn weights(settings: &config::Prior, d: usize) -> f64 {
        let [width, blocks, d, times] = [settings.width(), settings.blocks(), d, 2 * FREQUENCIES].map(|n| n as f64);
        let (ends, statistics) = (width * (2.0 * d + times + 3.0) + d, 2.0 * d);
        ends + blocks * width * (4.0 * width + 2.0 * times + 5.0) + statistics
    }

    /// Returns the velocity at standardised latents `[n, d]` and times `[n, 1]`.
    fn velocity(&self, z: &Var, times: &Tensor) -> Var {
        let ctx = ForwardContext::eval();
        let phi = Var::constant(features(times));
        let mut h = self.first.forward(&Var::concat(&[z, &phi], 1), &ctx);
        for block in &self.blocks {
            let x = Var::concat(&[&block.norm.forward(&h, &ctx), &phi], 1);
            h = &h + &block.narrow.forward(&block.widen.forward(&x, &ctx).silu(), &ctx);
        }
        self.last.forward(&self.norm.forward(&h, &ctx), &ctx)
    }
}

/// Returns φ(t) of times `[n, 1]`: `[n, 2·FREQUENCIES]`.
fn features(times: &Tensor) -> Tensor {
    let of = |i: usize| times.mul_scalar(TAU * 0.5 * (1 << i) as f32);
    let parts: Vec<Tensor> = (0..FREQUENCIES).flat_map(|i| [of(i).cos(), of(i).sin()]).collect();
    Tensor::concat(&parts.iter().collect::<Vec<_>>(), 1)
}

/// Solves dz/dt = v(z, t) from t = 0 to 1 by Heun's method, whose error falls with the square of the number of steps:
/// z ← z + ½h·(v(z, t) + v(z + h·v(z, t), t + h)), h = 1/steps.
fn heun(start: Tensor, steps: usize, v: impl Fn(&Tensor, f32) -> Tensor) -> Tensor {
    let h = 1.0 / steps as f32;
    (0..steps).fold(start, |z, step| {
        let t = step as f32 * h;
        let before = v(&z, t);
        let after = v(&z.add(&before.mul_scalar(h)), t + h);
        z.add(&before.add(&after).mul_scalar(0.5 * h))
    })
}

/// Returns vectors e whose mean over e of eᵀJe·(number of vectors) is the trace of a d × d matrix J, `[n, d]` each: the unit vectors,
/// or one vector of ±1 for each row.
fn probes(n: usize, d: usize) -> Vec<Tensor> {
    if d <= EXACT {
        return unit_vectors(n, d);
    }
    let mut rng = Generator::new(0);
    let signs: Vec<f32> = (0..n * d).map(|_| if rng.below(2) == 0 { 1.0 } else { -1.0 }).collect();
    vec![Tensor::new(&signs, [n, d])]
}

/// Returns the d unit vectors, each for n rows, `[n, d]`.
fn unit_vectors(n: usize, d: usize) -> Vec<Tensor> {
    (0..d).map(|i| Tensor::eye(d).slice(0, i, 1).expand([n, d])).collect()
}

/// Returns −ln p in nats of what the velocities carry N(0, I) to, for standardised latents `[n, d]` → `[n]`.
fn negative_log_density(z: &Tensor, steps: usize, probes: &[Tensor], v: impl Fn(&Var, f32) -> Var) -> Tensor {
    let (n, d) = (z.shape()[0], z.shape()[1]);
    // The state is z and the integral of the divergence, [n, d + 1]; its time s is 1 − t.
    let backwards = |state: &Tensor, s: f32| {
        let of_probe = |probe: &Tensor| {
            let z = Var::leaf(state.slice(1, 0, d));
            let v = v(&z, 1.0 - s);
            let gradients = v.backward_with(probe.clone());
            let product = gradients.of(&z).expect("the velocity depends on z").mul(probe);
            Tensor::concat(&[&v.value().mul_scalar(-1.0 / probes.len() as f32), &product.sum(&[1], true)], 1)
        };
        probes[1..].iter().fold(of_probe(&probes[0]), |sum, probe| sum.add(&of_probe(probe)))
    };
    let start = Tensor::concat(&[z, &Tensor::zeros([n, 1]).upload(&z.device())], 1);
    let end = heun(start, steps, backwards);
    let normal = end.slice(1, 0, d).square().add_scalar(TAU.ln()).sum(&[1], false).mul_scalar(0.5);
    normal.add(&end.slice(1, d, 1).reshape([n]))
}

impl Prior for Flow {
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let (mean, deviation) = (self.mean.value(), self.deviation.value());
        let mut parts = Vec::new();
        for first in (0..count).step_by(CHUNK) {
            let n = CHUNK.min(count - first);
            let start = rng.normal_tensor([n, mean.shape()[1]]).upload(device);
            let velocity = |z: &Tensor, t: f32| {
                let times = Tensor::ones([n, 1]).mul_scalar(t).upload(device);
                no_grad(|| self.velocity(&Var::constant(z.clone()), &times)).value().clone()
            };
            parts.push(heun(start, self.steps, velocity).mul(&deviation).add(&mean));
        }
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    fn nats(&self, latents: &Tensor) -> Tensor {
        let (n, d, device) = (latents.shape()[0], latents.shape()[1], latents.device());
        let deviation = self.deviation.value();
        let z = latents.sub(&self.mean.value()).div(&deviation);
        let probes: Vec<Tensor> = probes(n, d).iter().map(|probe| probe.upload(&device)).collect();
        let velocity = |z: &Var, t: f32| self.velocity(z, &Tensor::full([n, 1], t).upload(&device));
        let nats = negative_log_density(&z, self.steps, &probes, velocity);
        nats.add(&deviation.log().sum(&[1], false))
    }

    fn words(&self) -> String {
        format!("flow of {} steps", self.steps)
    }
}

impl Trainable for Flow {
    /// Measures the mean and the deviation of each latent.
    fn prepare(&self, latents: &Tensor) {
        let [mean, deviation] = super::moments(latents);
        self.mean.set(mean);
        self.deviation.set(deviation);
    }

    fn loss(&self, latents: &Tensor, rng: &mut Generator) -> Var {
        let (n, device) = (latents.shape()[0], latents.device());
        let z = latents.sub(&self.mean.value()).div(&self.deviation.value());
        let noise = rng.normal_tensor(z.shape()).upload(&device);
        let times = rng.uniform_tensor([n, 1], 0.0, 1.0).upload(&device);
        let between = noise.add(&z.sub(&noise).mul(&times));
        let error = &self.velocity(&Var::constant(between), &times) - &Var::constant(z.sub(&noise));
        error.square().mean_all()
    }
}

#[cfg(test)]
mod tests {
    use pollster::block_on;

    use super::*;
    use crate::prior::Fitting;

    /// dz/dt = z·cos 2t has the solution z(1) = z(0)·exp(½·sin 2). Twice the steps have a quarter of the error.
    #[test]
    fn the_error_of_the_solver_falls_with_the_square_of_the_steps() {
        let exact = (0.5 * 2_f64.sin()).exp();
        let error = |steps: usize| {
            let z = heun(Tensor::ones([1, 1]), steps, |z, t| z.mul_scalar((2.0 * t).cos()));
            (f64::from(z.data()[0]) - exact).abs()
        };
        for steps in [8, 16, 32] {
            let ratio = error(steps) / error(2 * steps);
            assert!((3.9..4.4).contains(&ratio), "{steps} steps: {ratio}");
        }
    }

    /// For latents ~ N(0, s²) the velocity is v(z, t) = z·(t·s² − (1 − t))/((1 − t)² + t²·s²), the mean of z₁ − ε given z_t. It
    /// carries every z(0) to s·z(0), so N(0, 1) to N(0, s²).
    #[test]
    fn the_closed_form_for_a_gaussian_carries_the_normal_distribution_to_it() {
        for s in [0.3_f32, 1.0, 2.5] {
            let velocity =
                |z: &Tensor, t: f32| z.mul_scalar((t * s * s - (1.0 - t)) / ((1.0 - t).powi(2) + t * t * s * s));
            let end = heun(Tensor::new(&[-1.5, 0.5, 2.0], [3, 1]), 400, velocity);
            for (end, start) in end.data().iter().zip([-1.5, 0.5, 2.0]) {
                assert!((end - s * start).abs() < 1e-3 * s.max(1.0), "s = {s}: {start} became {end}");
            }
        }
    }

    /// For latents ~ N(m, s²I) the velocity is v(z, t) = m + c(t)·(z − tm), with the factor c(t) from above. The density is known, and
    /// the divergence is c·d, with the unit vectors and with ±1.
    #[test]
    fn the_density_of_the_closed_form_is_that_of_the_gaussian() {
        for (s, d) in [(0.3_f32, 1), (2.5, 2), (0.6, 6)] {
            let (m, c) = (0.7, |t: f32| (t * s * s - (1.0 - t)) / ((1.0 - t).powi(2) + t * t * s * s));
            let velocity = |z: &Var, t: f32| z.add_scalar(-t * m).mul_scalar(c(t)).add_scalar(m);
            let z = Generator::new(2).normal_tensor([5, d]).mul_scalar(s).add_scalar(m);
            assert_eq!(probes(5, d).len(), if d > EXACT { 1 } else { d });
            let nats = negative_log_density(&z, 400, &probes(5, d), velocity);
            for (found, z) in nats.data().iter().zip(z.data().chunks_exact(d)) {
                let exact: f32 = z.iter().map(|z| 0.5 * ((z - m) / s).powi(2) + s.ln() + 0.5 * TAU.ln()).sum();
                assert!((found - exact).abs() < 2e-3 * d as f32, "s = {s}: {found}, exactly {exact}");
            }
        }
    }

    /// v = Az carries N(0, I) to N(0, exp(A)·exp(A)ᵀ), and div v = tr A. The unit vectors give the trace exactly. With vectors of ±1
    /// the mean over 4000 latents is within 5 deviations √(2·Σ_{i≠j} S_ij²/4000).
    #[test]
    fn hutchinson_s_estimator_is_the_trace_on_average() {
        let a = Generator::new(4).normal_tensor([5, 5]);
        let velocity = |z: &Var, _: f32| z.matmul_nt(&Var::constant(a.clone()));
        let (z, steps, signs) = (Generator::new(5).normal_tensor([4000, 5]), 4, probes(4000, 5));
        let units = unit_vectors(4000, 5);
        let [exact, estimate] = [&units, &signs].map(|probes| negative_log_density(&z, steps, probes, velocity));
        let symmetric = a.add(&a.transpose(0, 1)).mul_scalar(0.5);
        let off: f32 = (0..25).filter(|i| i % 6 != 0).map(|i| symmetric.data()[i].powi(2)).sum();
        let error = exact.sub(&estimate);
        let (mean, square) = (error.mean_all().data()[0], error.square().mean_all().data()[0]);
        assert!(mean.abs() < 5.0 * (2.0 * off / 4000.0).sqrt() && off > 1.0, "{mean}, {off}");
        assert!((square / (2.0 * off) - 1.0).abs() < 0.15, "{square}, expected {}", 2.0 * off);
    }

    /// Two correlated latents: what is learnt has their means and covariances, up to what a short fit leaves.
    #[test]
    fn a_learnt_velocity_carries_the_normal_distribution_to_the_latents() {
        let noise = Generator::new(3).normal_tensor([2000, 2]);
        let rows = noise.data().chunks_exact(2).flat_map(|e| [3.0 + 2.0 * e[0], -1.0 + 0.4 * e[0] + 0.3 * e[1]]);
        let latents = Tensor::new(&rows.collect::<Vec<f32>>(), [2000, 2]);
        let settings = config::Prior {
            width: Some(32),
            epochs: Some(30),
            batch_size: 100,
            steps: 20,
            learning_rate: 5e-3,
            ..config::Prior::default()
        };
        let flow = Flow::new(&mut Generator::new(1), &settings, 2);
        let mut fitting = Fitting::new(Box::new(flow), settings, 1, Device::Cpu, &latents);
        let losses: Vec<f64> = (0..30).map(|_| block_on(fitting.epoch(&latents)).unwrap()).collect();
        let drawn = fitting.prior.draw(4000, &Device::Cpu, &mut Generator::new(9));
        let mean = drawn.mean(&[0], true);
        let centred = drawn.sub(&mean);
        let covariance = centred.matmul_tn(&centred).mul_scalar(1.0 / 4000.0);
        for (found, expected) in mean.data().iter().zip([3.0, -1.0]) {
            assert!((found - expected).abs() < 0.15, "{mean:?}, losses {losses:?}");
        }
        for (found, expected) in covariance.data().iter().zip([4.0, 0.8, 0.8, 0.25]) {
            assert!((found / expected - 1.0).abs() < 0.15, "{covariance:?}, losses {losses:?}");
        }
        assert!(losses[29] < losses[0]);
        // The entropy of the latents is ½·ln det(2πe·Σ), with det Σ = (2·0.3)².
        let nats = fitting.prior.nats(&latents).mean_all().data()[0];
        let entropy = (TAU * std::f32::consts::E).ln() + 0.6_f32.ln();
        assert!(nats > entropy - 0.1 && nats < entropy + 0.15, "{nats}, {entropy}");
    }

    #[test]
    fn latents_are_standardised_by_their_mean_and_deviation() {
        let flow = Flow::new(&mut Generator::new(1), &config::Prior::default(), 2);
        flow.prepare(&Tensor::new(&[1.0, -5.0, 3.0, -5.0, 8.0, -2.0], [3, 2]));
        for (found, expected) in
            [(&flow.mean, [4.0_f32, -4.0]), (&flow.deviation, [(26.0_f32 / 3.0).sqrt(), 2_f32.sqrt()])]
        {
            for (a, b) in found.value().data().iter().zip(expected) {
                assert!((a - b).abs() < 1e-5, "{found:?}, expected {expected:?}");
            }
        }
    }

    #[test]
    fn a_time_is_described_by_cosines_and_sines() {
        let phi = features(&Tensor::new(&[0.3], [1, 1]));
        for (i, pair) in phi.data().chunks_exact(2).enumerate() {
            let angle = std::f64::consts::TAU * 0.5 * 2_f64.powi(i as i32) * 0.3;
            let error = (f64::from(pair[0]) - angle.cos()).abs().max((f64::from(pair[1]) - angle.sin()).abs());
            assert!(error < 1e-4, "frequency {i}: {pair:?}");
        }
        assert_eq!(phi.shape().to_vec(), [1, 16]);
    }

    /// With one block whose output is b, and no input, v = W₀·norm b.
    #[test]
    fn a_block_is_added() {
        let settings = config::Prior { width: Some(4), blocks: Some(1), ..config::Prior::default() };
        let flow = Flow::new(&mut Generator::new(1), &settings, 4);
        for weight in nn::parameters(&flow) {
            weight.1.set(match weight.0.as_str() {
                "blocks.0.narrow.bias" => Tensor::new(&[-3.0, -1.0, 1.0, 3.0], [4]),
                "last.weight" => Tensor::eye(4),
                "norm.weight" => continue,
                _ => Tensor::zeros(weight.1.shape()),
            });
        }
        let v = flow.velocity(&Var::constant(Tensor::ones([1, 4])), &Tensor::zeros([1, 1]));
        for (found, b) in v.value().data().iter().zip([-3.0_f32, -1.0, 1.0, 3.0]) {
            assert!((found - b / 5_f32.sqrt()).abs() < 1e-4, "{v:?}"); // the variance of b is 5
        }
    }

    #[test]
    fn few_latents_have_a_probe_each() {
        assert_eq!([1, EXACT, EXACT + 1].map(|d| probes(3, d).len()), [1, EXACT, 1]);
    }
}
