//! A masked autoregressive flow (Papamakarios, Pavlakou and Murray, 1705.07057, section 3): a stack of K blocks, each a MADE (Germain
//! et al., 1502.03509). The latents are standardised first:
//!
//! ```text
//! u⁰ = (z − mean)/deviation
//! uᵏ_i = (uᵏ⁻¹_i − μ_i)·exp(−α_i)          μ_i and α_i depend on those uᵏ⁻¹_j that come before i
//! −ln p(z) = ½|uᴷ|² + ½d·ln 2π + Σ_k Σ_i α_i + Σ_i ln deviation_i
//! ```
//!
//! Each Jacobian is a triangle, so its determinant is the product of its diagonal, and the density is exact. The first block has
//! the order 1 … d, the second d … 1, and so on. The network of a block, with M∘W the elementwise product of mask and weight:
//!
//! ```text
//! h = relu((M₁∘W₁)·u + b₁),   h′ = relu((M₂∘W₂)·h + b₂),   (μ, a) = (M₃∘W₃)·h′ + b₃,   α = 5·tanh(a/5)
//! ```
//!
//! Latent i has the degree of its place in the order, 1 … d. Hidden units have the degrees 1 … d − 1, equally often. A unit sees what
//! has its own degree or a lower one, and outputs of latent i see what has a lower degree than i. The bound of α is ours: it
//! keeps the scale finite for latents that are unlike all seen in training.
//!
//! To draw, u ~ N(0, I) goes through the blocks backwards. z_i = u_i·exp(α_i) + μ_i needs the z_j before it, so each block is
//! evaluated d times.

use std::f32::consts::TAU;

use autograd::{Buffer, Param, Var, no_grad};
use tensor::{Device, Generator, Tensor};

use super::{Prior, Trainable};
use crate::config;

/// The bound of |α|.
const LARGEST: f32 = 5.0;
/// The number of latents that are drawn at once.
const CHUNK: usize = 1024;

/// A flow of d latents.
pub(super) struct Maf {
    mean: Buffer,      // [1, d]: of the latents
    deviation: Buffer, // [1, d]
    blocks: Vec<Made>,
}

nn::module!(Maf { mean, deviation, blocks });

/// A block: the mean and the log-scale of each latent given those before it.
struct Made {
    first: MaskedLinear,
    second: MaskedLinear,
    last: MaskedLinear,
    order: Vec<usize>,
}

nn::module!(Made { first, second, last });

/// y = (M∘W)·x + b.
struct MaskedLinear {
    weight: Param, // [out, in]
    bias: Param,   // [out]
    mask: Buffer,  // [out, in], of zeros and ones. It follows from the degrees, so it is not in the state.
}

nn::module!(MaskedLinear { weight, bias });

impl MaskedLinear {
    /// Creates a layer whose output of degree b sees the inputs of degrees up to b.
    fn new(rng: &mut Generator, inputs: &[usize], outputs: &[usize]) -> MaskedLinear {
        let shape = [outputs.len(), inputs.len()];
        let connected = |to: usize| inputs.iter().map(move |&from| if from <= to { 1.0 } else { 0.0 });
        let mask: Vec<f32> = outputs.iter().flat_map(|&to| connected(to)).collect();
        let bound = 1.0 / (inputs.len() as f32).sqrt();
        MaskedLinear {
            weight: Param::new(rng.uniform_tensor(shape, -bound, bound)),
            bias: Param::new(Tensor::zeros([outputs.len()])),
            mask: Buffer::new(Tensor::new(&mask, shape)),
        }
    }

    fn forward(&self, x: &Var) -> Var {
        let (device, mut mask) = (x.value().device(), self.mask.value());
        if mask.device() != device {
            mask = mask.upload(&device); // once, since a prior stays on the device that it was moved to
            self.mask.set(mask.clone());
        }
        x.matmul_nt(&(self.weight.var() * Var::constant(mask))) + self.bias.var()
    }
}

impl Made {
    /// Creates a block of d latents that is the identity at first.
    fn new(rng: &mut Generator, width: usize, order: Vec<usize>) -> Made {
        let d = order.len();
        let mut degrees = vec![0; d];
        order.iter().zip(1..).for_each(|(&i, degree)| degrees[i] = degree);
        let hidden: Vec<usize> = (0..width).map(|k| 1 + k * (d - 1) / width).collect();
        let outputs: Vec<usize> = degrees.iter().chain(&degrees).map(|degree| degree - 1).collect();
        let last = MaskedLinear::new(rng, &hidden, &outputs);
        last.weight.set(Tensor::zeros(last.weight.shape()));
        let (first, second) = (MaskedLinear::new(rng, &degrees, &hidden), MaskedLinear::new(rng, &hidden, &hidden));
        Made { first, second, last, order }
    }

    /// Returns μ and α of latents `[n, d]`, `[n, d]` each.
    fn conditionals(&self, u: &Var) -> [Var; 2] {
        let hidden = self.second.forward(&self.first.forward(u).relu()).relu();
        let both = self.last.forward(&hidden);
        let d = self.order.len();
        [both.slice(1, 0, d), both.slice(1, d, d).mul_scalar(1.0 / LARGEST).tanh().mul_scalar(LARGEST)]
    }

    /// Returns u after this block and Σ_i α_i: `[n, d]` → `[n, d]` and `[n]`.
    fn forward(&self, u: &Var) -> (Var, Var) {
        let [mu, alpha] = self.conditionals(u);
        ((u - mu) * alpha.mul_scalar(-1.0).exp(), alpha.sum(&[1], false))
    }

    /// Returns what [`Made::forward`] maps to u, `[n, d]`. One latent after the other becomes known; the others are 0 until then.
    fn inverse(&self, u: &Tensor) -> Tensor {
        let d = self.order.len();
        self.order.iter().fold(Tensor::zeros(u.shape()).upload(&u.device()), |known, &i| {
            let [mu, alpha] = no_grad(|| self.conditionals(&Var::constant(known.clone())));
            let all = u.mul(&alpha.value().exp()).add(mu.value());
            let only: Vec<f32> = (0..d).map(|j| if j == i { 1.0 } else { 0.0 }).collect();
            known.add(&all.mul(&Tensor::new(&only, [1, d]).upload(&u.device())))
        })
    }
}

impl Maf {
    /// Creates a flow of `d` latents.
    pub(super) fn new(rng: &mut Generator, settings: &config::Prior, d: usize) -> Maf {
        let order = |block: usize| if block.is_multiple_of(2) { (0..d).collect() } else { (0..d).rev().collect() };
        Maf {
            mean: Buffer::new(Tensor::zeros([1, d])),
            deviation: Buffer::new(Tensor::ones([1, d])),
            blocks: (0..settings.blocks()).map(|block| Made::new(rng, settings.width(), order(block))).collect(),
        }
    }

    /// The number of weights of such a flow.
    pub(super) fn weights(settings: &config::Prior, d: usize) -> f64 {
        let [width, blocks, d] = [settings.width(), settings.blocks(), d].map(|n| n as f64);
        blocks * (width * (width + 3.0 * d + 2.0) + 2.0 * d) + 2.0 * d
    }

    /// Returns −ln p of latents in nats, `[n, d]` → `[n]`.
    fn negative_log_density(&self, latents: &Tensor) -> Var {
        let deviation = self.deviation.value();
        let start = Var::constant(latents.sub(&self.mean.value()).div(&deviation));
        let constant = Var::constant(deviation.log().add_scalar(0.5 * TAU.ln()).sum(&[1], false)); // [1]
        let (u, sum) = self.blocks.iter().fold((start, constant), |(u, sum), block| {
            let (next, alphas) = block.forward(&u);
            (next, sum + alphas)
        });
        u.square().sum(&[1], false).mul_scalar(0.5) + sum
    }
}

impl Prior for Maf {
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor {
        let (mean, deviation) = (self.mean.value(), self.deviation.value());
        let mut parts = Vec::new();
        for first in (0..count).step_by(CHUNK) {
            let u = rng.normal_tensor([CHUNK.min(count - first), mean.shape()[1]]).upload(device);
            let start = self.blocks.iter().rev().fold(u, |u, block| block.inverse(&u));
            parts.push(start.mul(&deviation).add(&mean));
        }
        Tensor::concat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    fn nats(&self, latents: &Tensor) -> Tensor {
        no_grad(|| self.negative_log_density(latents)).value().clone()
    }

    fn words(&self) -> String {
        format!("masked autoregressive flow of {} blocks", self.blocks.len())
    }
}

impl Trainable for Maf {
    /// Measures the mean and the deviation of each latent.
    fn prepare(&self, latents: &Tensor) {
        let [mean, deviation] = super::moments(latents);
        self.mean.set(mean);
        self.deviation.set(deviation);
    }

    /// The mean of −ln p(z) in nats.
    fn loss(&self, latents: &Tensor, _: &mut Generator) -> Var {
        self.negative_log_density(latents).mean_all()
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

    /// A flow with random weights and standardisation in place of the identity.
    fn random(d: usize, blocks: usize) -> Maf {
        let rng = &mut Generator::new(11);
        let maf = Maf::new(rng, &settings(12, blocks), d);
        nn::parameters(&maf).iter().for_each(|(_, p)| p.set(rng.normal_tensor(p.shape()).mul_scalar(0.4)));
        maf.mean.set(rng.normal_tensor([1, d]));
        maf.deviation.set(rng.uniform_tensor([1, d], 0.5, 1.5));
        maf
    }

    fn forward(block: &Made, u: &[f32]) -> Vec<f32> {
        block.forward(&Var::constant(Tensor::new(u, [1, u.len()]))).0.value().data().to_vec()
    }

    /// Output i depends on input i and on those before it in the order of the block, and on no other; by finite differences.
    #[test]
    fn the_jacobian_of_a_block_is_a_triangle() {
        let maf = random(5, 2);
        for (block, rank) in maf.blocks.iter().zip([|i: usize| i, |i: usize| 4 - i]) {
            let u = [0.3, -0.7, 1.1, 0.2, -0.4];
            let mut log_det = 0.0;
            for j in 0..5 {
                let [mut below, mut above] = [u, u];
                below[j] -= 1e-2;
                above[j] += 1e-2;
                let (a, b) = (forward(block, &below), forward(block, &above));
                for i in 0..5 {
                    let slope = (b[i] - a[i]) / 2e-2;
                    match rank(i) >= rank(j) {
                        true => assert!(slope.abs() > 1e-4, "output {i} does not depend on input {j}"),
                        false => assert!(slope == 0.0, "output {i} depends on input {j}"),
                    }
                    log_det += if i == j { slope.ln() } else { 0.0 };
                }
            }
            let alphas = block.forward(&Var::constant(Tensor::new(&u, [1, 5]))).1.item();
            assert!((log_det + alphas).abs() < 1e-2, "ln det = {log_det}, Σα = {alphas}");
        }
    }

    #[test]
    fn the_density_integrates_to_one() {
        for d in [1, 2] {
            let (maf, side, step) = (random(d, 3), 480_usize, 0.05_f32);
            let at = |i: usize| (i as f32 - side as f32 / 2.0) * step;
            let place = |i: usize, axis: u32| at(i / side.pow(axis) % side);
            let grid: Vec<f32> =
                (0..side.pow(d as u32)).flat_map(|i| (0..d as u32).map(move |a| place(i, a))).collect();
            let nats = no_grad(|| maf.negative_log_density(&Tensor::new(&grid, [side.pow(d as u32), d])));
            let mass: f64 = nats.value().data().iter().map(|&nats| f64::from(-nats).exp()).sum();
            let mass = mass * f64::from(step).powi(d as i32);
            assert!((mass - 1.0).abs() < 2e-3, "{d} latents: {mass}");
        }
    }

    #[test]
    fn the_inverse_undoes_a_block() {
        for block in &random(4, 2).blocks {
            let z = Generator::new(4).normal_tensor([50, 4]);
            let (u, _) = block.forward(&Var::constant(z.clone()));
            let back = block.inverse(u.value());
            let error = back.data().iter().zip(z.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let moved = u.value().sub(&z).square().mean_all().data()[0];
            assert!(error < 1e-4 && moved > 1e-2, "{error}, {moved}");
        }
    }

    /// The definition in f64, one number at a time. A unit of degree b sees degrees up to b, an output those below its own.
    #[test]
    fn the_density_is_the_definition_s() {
        let (d, width, maf) = (3, 12, random(3, 2));
        let z = [0.4_f32, -1.3, 0.9];
        let numbers = |p: &Param| -> Vec<f64> { p.value().data().iter().map(|&x| f64::from(x)).collect() };
        let of = |buffer: &Buffer, i: usize| f64::from(buffer.value().data()[i]);
        let mut u: Vec<f64> = (0..d).map(|i| (f64::from(z[i]) - of(&maf.mean, i)) / of(&maf.deviation, i)).collect();
        let mut nats: f64 = (0..d).map(|i| of(&maf.deviation, i).ln()).sum();
        for (k, block) in maf.blocks.iter().enumerate() {
            let place = |i: usize| if k == 0 { i + 1 } else { d - i };
            let degree = |unit: usize| if unit < 6 { 1 } else { 2 };
            let layer = |l: &MaskedLinear, x: &[f64], sees: &dyn Fn(usize, usize) -> bool| -> Vec<f64> {
                let (w, b) = (numbers(&l.weight), numbers(&l.bias));
                let sum =
                    |i: usize| (0..x.len()).filter(|&j| sees(i, j)).map(|j| w[i * x.len() + j] * x[j]).sum::<f64>();
                (0..b.len()).map(|i| sum(i) + b[i]).collect()
            };
            let relu = |x: Vec<f64>| -> Vec<f64> { x.iter().map(|x| x.max(0.0)).collect() };
            let h = relu(layer(&block.first, &u, &|i, j| place(j) <= degree(i)));
            assert_eq!(h.len(), width);
            let h = relu(layer(&block.second, &h, &|i, j| degree(j) <= degree(i)));
            let out = layer(&block.last, &h, &|i, j| degree(j) < place(i % d));
            let alpha = |i: usize| 5.0 * (out[d + i] / 5.0).tanh();
            nats += (0..d).map(alpha).sum::<f64>();
            u = (0..d).map(|i| (u[i] - out[i]) * (-alpha(i)).exp()).collect();
        }
        nats += u.iter().map(|u| 0.5 * (u * u + std::f64::consts::TAU.ln())).sum::<f64>();
        let found = f64::from(maf.nats(&Tensor::new(&z, [1, 3])).data()[0]);
        assert!((found - nats).abs() < 1e-6 * nats, "{found}, expected {nats}");
    }

    /// z₁ ~ N(0, 2²) and z₂ = ½z₁² + ½ε, a banana.
    fn banana(seed: u64, n: usize) -> Tensor {
        let noise = Generator::new(seed).normal_tensor([n, 2]);
        let rows = noise.data().chunks_exact(2).flat_map(|e| [2.0 * e[0], 2.0 * e[0] * e[0] + 0.5 * e[1]]);
        Tensor::new(&rows.collect::<Vec<f32>>(), [n, 2])
    }

    /// The entropy of the banana is ½·ln(2πe·4) + ½·ln(2πe·¼) = 2.838 nats. A Gaussian with its covariance, diag(4, 8.25), needs
    /// ½·ln(4·8.25) + ln 2πe = 4.586. What is learnt comes within 0.1 of the entropy on new draws, and its own draws have the
    /// moments of the banana: means 0 and 2, variances 4 and 8.25, no covariance, and a third moment E z₁²(z₂ − 2) = 16.
    #[test]
    fn a_banana_is_learnt_up_to_its_entropy() {
        let (latents, new) = (banana(3, 4000), banana(4, 4000));
        let settings = config::Prior { epochs: Some(25), batch_size: 100, learning_rate: 5e-3, ..settings(32, 3) };
        let maf = Maf::new(&mut Generator::new(1), &settings, 2);
        let mut fitting = Fitting::new(Box::new(maf), settings, 1, Device::Cpu, &latents);
        let begin = block_on(fitting.validate(&new)).unwrap();
        assert!((begin - 4.586).abs() < 0.1, "the identity is the Gaussian of the same moments: {begin}");
        for _ in 0..25 {
            block_on(fitting.epoch(&latents)).unwrap();
        }
        let nats = block_on(fitting.validate(&new)).unwrap();
        assert!((nats - 2.838).abs() < 0.1, "{nats}");
        let drawn = fitting.prior.draw(20_000, &Device::Cpu, &mut Generator::new(9));
        let mean = |f: &dyn Fn(f32, f32) -> f32| {
            let sum: f64 = drawn.data().chunks_exact(2).map(|z| f64::from(f(z[0], z[1] - 2.0))).sum();
            sum / 20_000.0
        };
        let found = [mean(&|a, _| a), mean(&|_, b| b), mean(&|a, _| a * a), mean(&|a, b| a * b), mean(&|_, b| b * b)];
        for (found, (truth, bound)) in found.iter().zip([(0.0, 0.15), (0.0, 0.3), (4.0, 0.4), (0.0, 1.5), (8.25, 2.0)])
        {
            assert!((found - truth).abs() < bound, "{found}, expected {truth}");
        }
        assert!((mean(&|a, b| a * a * b) - 16.0).abs() < 4.0, "{}", mean(&|a, b| a * a * b));
    }

    #[test]
    fn the_number_of_weights_is_estimated() {
        for (width, d) in [(8, 1), (64, 2), (256, 128)] {
            let maf = Maf::new(&mut Generator::new(1), &settings(width, 3), d);
            let tensors = (nn::count(&maf) + 2 * d) as f64; // with mean and deviation
            assert_eq!(Maf::weights(&settings(width, 3), d), tensors);
        }
    }

    /// As in a linear layer, the weights of n inputs are uniform in ±1/√n.
    #[test]
    fn weights_start_within_their_bound() {
        let layer = MaskedLinear::new(&mut Generator::new(1), &[0; 64], &[1; 32]);
        let largest = layer.weight.value().data().iter().fold(0.0_f32, |most, w| most.max(w.abs()));
        assert!(largest <= 0.125 && largest > 0.12, "{largest}");
    }
}
