//! The squared maximum mean discrepancy (Gretton et al. 2012), which the papers call MMD, between the aggregate posterior q(z) and
//! the prior p(z) = N(0, I). It is the penalty of the InfoVAE (Zhao, Song and Ermon, 1706.02262) and of the Wasserstein
//! autoencoder (Tolstikhin et al., 1711.01558, algorithm 2):
//!
//! ```text
//! MMD = E k(z, z') + E k(p, p') − 2·E k(z, p)          z, z' ~ q(z),  p, p' ~ N(0, I), all independent
//!     ≈ 1/(B(B−1)) Σ_{i≠j} [k(z_i, z_j) + k(p_i, p_j)] − 2/B² Σ_ij k(z_i, p_j)
//!
//! k(a, b) = Σ_s C_s/(C_s + ‖a − b‖²),   C_s = 2·D·s,   s = 0.1, 0.2, 0.5, 1, 2, 5, 10
//! ```
//!
//! The second line is the U-statistic of a batch of B images, with a draw z_i from the posterior of each, and as many draws p_j from
//! the prior. It is unbiased, so batches of any size estimate the same number, and it may be negative. With B = 1 there are no pairs,
//! and the estimate is 0.
//!
//! k is the sum of inverse multiquadratic kernels that the authors of the Wasserstein autoencoder use. 2·D is the mean of ‖p − p'‖²
//! in D dimensions, so the scales reach from a tenth of that distance to ten times it. A Gaussian kernel vanishes for latents that
//! are far from the prior, and then has no gradient; this one falls only with the square of the distance.

use autograd::{Var, no_grad};
use tensor::Tensor;

use super::Draws;
use crate::config::{Config, LossKind};

/// The weight of the discrepancy, α + λ − 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mmd {
    pub(super) weight: f64,
}

/// The scales s of the kernels.
const SCALES: [f32; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

impl Mmd {
    /// Returns `None` for the other losses.
    pub(super) fn new(config: &Config) -> Option<Mmd> {
        let loss = &config.loss;
        (loss.kind == LossKind::Mmd).then_some(Mmd { weight: loss.alpha + loss.lambda - 1.0 })
    }

    /// Draws a latent of each image, and as many from the prior. `mu` and `logvar` are `[B, D]`, and `eps`, `[B, 2·D]`, has the
    /// noise of both.
    pub(super) fn draw(mu: &Var, logvar: &Var, eps: &Tensor) -> Draws {
        let [_, width] = mu.shape().matrix("mmd");
        let mut draws = Draws::single(mu.reparameterise(logvar, &eps.slice(1, 0, width)));
        draws.prior = Some(eps.slice(1, width, width));
        draws
    }
}

/// Returns the U-statistic of the MMD, a scalar. `z` are the draws from the posteriors and `prior` those from the prior, `[B, D]`.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn mmd(z: &Var, prior: &Tensor) -> Var {
    let [count, _] = z.shape().matrix("mmd");
    assert_eq!(z.shape(), prior.shape(), "mmd: latents and draws from the prior");
    let prior = Var::constant(prior.clone());
    if count == 1 {
        return (z * prior).sum_all().mul_scalar(0.0);
    }
    let within = |kernels: &Var| {
        // Every number on the diagonal is k(a, a), which is 1 for each scale.
        let diagonal = SCALES.len() as f32 / count as f32;
        kernels.mean_all().add_scalar(-diagonal).mul_scalar(count as f32 / (count - 1) as f32)
    };
    let of_prior = no_grad(|| within(&kernel(&prior, &prior)));
    within(&kernel(z, z)) + of_prior - kernel(z, &prior).mean_all().mul_scalar(2.0)
}

/// Returns k(a_i, b_j) for all pairs, `[I, J]`. a is `[I, D]`, b is `[J, D]`.
fn kernel(a: &Var, b: &Var) -> Var {
    let ([i, width], [j, _]) = (a.shape().matrix("kernel"), b.shape().matrix("kernel"));
    let squares = (a.reshape([i, 1, width]) - b.reshape([1, j, width])).square().sum(&[2], false);
    let each = SCALES.map(|scale| {
        let c = 2.0 * width as f32 * scale;
        squares.full_like(c) / squares.add_scalar(c)
    });
    each.into_iter().reduce(|sum, kernel| sum + kernel).expect("there are scales")
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator};

    use super::*;

    /// Returns the U-statistic by its definition, in f64, pair by pair.
    fn by_definition(z: &Array, prior: &Array) -> f64 {
        let [count, width] = [z.shape[0], z.shape[1]];
        let k = |a: &Array, i: usize, b: &Array, j: usize| -> f64 {
            let square: f64 = (0..width).map(|d| (a.data[i * width + d] - b.data[j * width + d]).powi(2)).sum();
            let c = |scale: f64| 2.0 * width as f64 * scale;
            [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0].iter().map(|&scale| c(scale) / (c(scale) + square)).sum()
        };
        let (mut within, mut across) = (0.0, 0.0);
        for i in 0..count {
            for j in 0..count {
                across += k(z, i, prior, j);
                within += if i == j { 0.0 } else { k(z, i, z, j) + k(prior, i, prior, j) };
            }
        }
        let count = count as f64;
        within / (count * (count - 1.0)) - 2.0 * across / (count * count)
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let mut rng = Generator::new(9);
        for (count, width) in [(5, 3), (2, 1), (7, 16)] {
            let prior = rng.normal_tensor([count, width]);
            let latents = rng.normal_tensor([count, width]).mul_scalar(1.5).add_scalar(1.5);
            let op = |inputs: &[Var]| mmd(&inputs[0], &prior);
            let reference = |inputs: &[Array]| Array::new([], vec![by_definition(&inputs[0], &Array::of(&prior))]);
            let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, &[latents], 3));
            checked.unwrap_or_else(|mismatch| panic!("{count} latents of {width}: {mismatch}"));
        }
    }

    /// The mean over many batches, and over those of another size: an estimate without bias does not depend on the size.
    #[test]
    fn draws_from_the_prior_have_a_discrepancy_of_0_whatever_the_batch() {
        let mut rng = Generator::new(2);
        for count in [2, 3, 16] {
            let mut batch = || {
                let [z, prior] = [0, 1].map(|_| rng.normal_tensor([count, 2]));
                f64::from(mmd(&Var::constant(z), &prior).item())
            };
            let batches = 40_000 / count;
            let values: Vec<f64> = (0..batches).map(|_| batch()).collect();
            let mean = values.iter().sum::<f64>() / batches as f64;
            let spread = (values.iter().map(|x| x * x).sum::<f64>() / batches as f64).sqrt();
            assert!(mean.abs() < 4.0 * spread / (batches as f64).sqrt(), "{count}: {mean} ± {spread}");
            assert!(values.iter().any(|&x| x < 0.0), "an unbiased estimate of 0 is below it at times");
        }
    }

    #[test]
    fn latents_far_from_the_prior_have_a_gradient_towards_it() {
        let mut rng = Generator::new(3);
        let z = Var::leaf(rng.normal_tensor([8, 2]).add_scalar(20.0));
        let gradients = mmd(&z, &rng.normal_tensor([8, 2])).backward();
        assert!(gradients.of(&z).unwrap().sum_all().data()[0] > 1e-3);
    }

    #[test]
    fn the_prior_s_draws_have_noise_of_their_own() {
        let (zeros, eps) = (Var::constant(Tensor::zeros([3, 2])), Generator::new(4).normal_tensor([3, 4]));
        let draws = Mmd::draw(&zeros, &zeros, &eps);
        let prior = draws.prior.unwrap();
        for (image, eps) in eps.data().chunks(4).enumerate() {
            assert_eq!(&draws.z.value().data()[2 * image..][..2], &eps[..2]);
            assert_eq!(&prior.data()[2 * image..][..2], &eps[2..]);
        }
    }

    #[test]
    fn one_image_has_no_pairs() {
        let z = Var::leaf(Tensor::new(&[3.0, -1.0], [1, 2]));
        let alone = mmd(&z, &Tensor::ones([1, 2]));
        assert_eq!(alone.item(), 0.0);
        assert_eq!(alone.backward().of(&z).unwrap().data(), [0.0, 0.0]);
    }
}
