//! The penalties of the DIP-VAE (Kumar, Sattigeri and Balakrishnan, 1711.00848, eq. 6 and 7), which draw the covariance of the
//! latents to the identity:
//!
//! ```text
//! λ_od·Σ_{i≠j} C_ij² + λ_d·Σ_i (C_ii − 1)²
//!
//! DIP-VAE-I    C = Cov_x[mu]                           the covariance of the means
//! DIP-VAE-II   C = Cov_x[mu] + diag(E_x[σ²])           that of the latents themselves, by the law of total covariance
//! ```
//!
//! Expectations over x are means over the B images of the batch, Cov_x[mu] = 1/B Σ_n (mu_n − m)(mu_n − m)ᵀ with their mean m. Each
//! pair i ≠ j counts twice, as in the paper. mu and logvar are `[B, z]`, σ² = e^logvar.

use autograd::Var;
use tensor::Tensor;

use crate::config::{Config, Dip, LossKind};

/// Which covariance is penalised, and the weights λ_od and λ_d.
#[derive(Clone, Copy, Debug)]
pub(super) struct DipPenalty {
    kind: Dip,
    pub(super) off_diagonal: f64,
    pub(super) diagonal: f64,
}

impl DipPenalty {
    /// Returns `None` for the other losses.
    pub(super) fn new(config: &Config) -> Option<DipPenalty> {
        let loss = &config.loss;
        let penalty = DipPenalty { kind: loss.dip, off_diagonal: loss.lambda_od, diagonal: loss.lambda_d };
        (loss.kind == LossKind::Dip).then_some(penalty)
    }

    /// Returns Σ_{i≠j} C_ij² and Σ_i (C_ii − 1)² of a batch, two scalars.
    pub(super) fn squares(self, mu: &Var, logvar: &Var) -> [Var; 2] {
        let [images, width] = mu.shape().matrix("dip");
        let centred = mu - mu.mean(&[0], true);
        let of_means = centred.transpose(0, 1).matmul(&centred).mul_scalar(1.0 / images as f32);
        let on_diagonal = Tensor::eye(width).upload(&mu.value().device());
        let covariance = match self.kind {
            Dip::I => of_means,
            Dip::II => of_means + logvar.exp().mean(&[0], true) * Var::constant(on_diagonal.clone()),
        };
        let off_diagonal = &covariance * Var::constant(on_diagonal.mul_scalar(-1.0).add_scalar(1.0));
        let variances = (covariance * Var::constant(on_diagonal)).sum(&[1], false);
        [off_diagonal.square().sum_all(), variances.add_scalar(-1.0).square().sum_all()]
    }
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator};

    use super::*;

    fn penalty(kind: Dip) -> DipPenalty {
        DipPenalty { kind, off_diagonal: 1.0, diagonal: 1.0 }
    }

    /// Returns both sums by their definition, in f64.
    fn by_definition(kind: Dip, mu: &Array, logvar: &Array) -> [f64; 2] {
        let [images, width] = [mu.shape[0], mu.shape[1]];
        let mean = |of: &dyn Fn(usize) -> f64| (0..images).map(of).sum::<f64>() / images as f64;
        let m: Vec<f64> = (0..width).map(|d| mean(&|n| mu.data[n * width + d])).collect();
        let mut sums = [0.0; 2];
        for i in 0..width {
            for j in 0..width {
                let mut c = mean(&|n| (mu.data[n * width + i] - m[i]) * (mu.data[n * width + j] - m[j]));
                if i == j && kind == Dip::II {
                    c += mean(&|n| logvar.data[n * width + i].exp());
                }
                sums[usize::from(i == j)] += if i == j { (c - 1.0).powi(2) } else { c * c };
            }
        }
        sums
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let mut rng = Generator::new(7);
        for (kind, images, width) in [(Dip::I, 5, 3), (Dip::II, 5, 3), (Dip::I, 2, 4), (Dip::II, 6, 1), (Dip::II, 1, 2)]
        {
            let op = |inputs: &[Var]| {
                let [off_diagonal, diagonal] = penalty(kind).squares(&inputs[0], &inputs[1]);
                Var::concat(&[&off_diagonal.reshape([1]), &diagonal.reshape([1])], 0)
            };
            let reference = |inputs: &[Array]| Array::new([2], by_definition(kind, &inputs[0], &inputs[1]).to_vec());
            let inputs = [rng.normal_tensor([images, width]), rng.normal_tensor([images, width])];
            let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, &inputs, 3));
            checked.unwrap_or_else(|mismatch| panic!("{kind}, {images} images, {width} latents: {mismatch}"));
        }
    }

    /// The means ±1 in every combination have a covariance of I. With σ² = 1 the latents have one of 2·I.
    #[test]
    fn independent_means_of_variance_1_cost_nothing_in_the_first_kind() {
        let corners = [1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0];
        let mu = Var::constant(Tensor::new(&corners, [4, 2]));
        let logvar = Var::constant(Tensor::zeros([4, 2]));
        let squares = |kind| penalty(kind).squares(&mu, &logvar).map(|square| square.item());
        assert_eq!((squares(Dip::I), squares(Dip::II)), ([0.0, 0.0], [0.0, 2.0]));
    }
}
