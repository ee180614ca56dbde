//! The KL of the β-TCVAE (Chen et al., 1802.04942) in three terms. Each is a mean over the images i of a batch, in
//! nats:
//!
//! ```text
//! MI    = log q(z_i|x_i) − log q(z_i)             mutual information between image and latents
//! TC    = log q(z_i) − log Π_d q(z_id)            total correlation: dependence between the latents
//! DW-KL = log Π_d q(z_id) − log p(z_i)            dimension-wise KL to the prior N(0, 1)
//! ```
//!
//! z_i is drawn from the posterior q(z|x_i) = N(mu_i, e^logvar_i). q(z) is the mean of the posteriors of all N images.
//! It is estimated from the B images of the batch:
//!
//! ```text
//! log q(z_i) ≈ logsumexp_j [w_ij + log q(z_i|x_j)],   log Π_d q(z_id) ≈ Σ_d logsumexp_j [w_ij + log q(z_id|x_jd)]
//!
//! batch  w = −log B      mws  w = −log(N·B)      unnormalised  w = 0
//! mss    e^w_ij = 1/N for j = i,  (N − M)/(N·M) for j = (i + 1) mod B,  1/M elsewhere,  M = B − 1
//! ```
//!
//! The weight w_ij is added once in the joint density, and once per dimension in the product. For all weights, the sum
//! of the three terms is the mean of log q(z|x) − log p(z). z, mu and logvar are `[B, D]`, the terms are scalars, and
//! intermediate results have the shape `[B, B, D]`.

use autograd::Var;
use tensor::Tensor;

use crate::config::Estimator;

/// The three terms of the KL, scalars in nats.
#[derive(Clone, Debug)]
pub struct LatentTerms {
    /// The mutual information between images and latents. Its estimate from a batch is at most log B.
    pub mi: Var,
    /// The total correlation. It is 0 if the latents are independent.
    pub tc: Var,
    /// The dimension-wise KL.
    pub dw_kl: Var,
}

/// Returns MI, TC and DW-KL of a batch of B out of `dataset` images (Chen et al., 1802.04942). z is drawn from the
/// posteriors with the parameters mu and logvar, each `[B, D]`. The terms are scalars in nats, and their sum is the
/// mean of log q(z|x) − log p(z). Gradients flow through them.
///
/// ```text
/// log q(z_i) ≈ logsumexp_j [w_ij + log q(z_i|x_j)],   log Π_d q(z_id) ≈ Σ_d logsumexp_j [w_ij + log q(z_id|x_jd)]
/// MI = log q(z_i|x_i) − log q(z_i),   TC = log q(z_i) − log Π_d q(z_id),   DW-KL = log Π_d q(z_id) − log p(z_i)
/// ```
///
/// Each is a mean over i. w is returned by [`log_weights`].
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn latent_terms(z: &Var, mu: &Var, logvar: &Var, estimator: Estimator, dataset: usize) -> LatentTerms {
    let [b, _] = same_shape(z, mu, logvar);
    let weights = log_weights(estimator, b, dataset).upload(&z.value().device());
    let pairs = pair_densities(z, mu, logvar);
    let joint = (pairs.sum(&[2], false) + Var::constant(weights.clone())).logsumexp(1);
    let product = (pairs + Var::constant(weights.reshape([b, b, 1]))).logsumexp(1).sum(&[1], false);
    terms_from_densities(z, mu, logvar, &joint, &product)
}

/// Returns w_ij, the logarithm of the weight of image j's posterior (columns) in the estimate of q(z_i) (rows):
/// `[batch, batch]`. See [`Estimator`]. For a batch of one image, or of more than `dataset` images, `mss` uses the
/// weights of `batch`.
pub fn log_weights(estimator: Estimator, batch: usize, dataset: usize) -> Tensor {
    let (b, n) = (batch as f64, dataset as f64);
    let equal = |w: f64| Tensor::full([batch, batch], w as f32);
    match estimator {
        Estimator::Unnormalised => equal(0.0),
        Estimator::Mws => equal(-(n * b).ln()),
        Estimator::Mss if batch > 1 && dataset >= batch => {
            let m = b - 1.0;
            let weight = |i: usize, j: usize| match j {
                _ if j == i => 1.0 / n,
                _ if j == (i + 1) % batch => (n - m) / (n * m),
                _ => 1.0 / m,
            };
            let places = (0..batch * batch).map(|place| weight(place / batch, place % batch).ln() as f32);
            Tensor::new(&places.collect::<Vec<_>>(), [batch, batch])
        }
        Estimator::Batch | Estimator::Mss => equal(-b.ln()),
    }
}

/// Returns the three terms, given log q(z) and log Π_d q(z_d) of each image, both `[B]`.
pub(super) fn terms_from_densities(z: &Var, mu: &Var, logvar: &Var, joint: &Var, product: &Var) -> LatentTerms {
    let own = log_density(z, mu, logvar).sum(&[1], false);
    let prior = z.square().add_scalar(LN_2PI).mul_scalar(-0.5).sum(&[1], false);
    LatentTerms { mi: (own - joint).mean_all(), tc: (joint - product).mean_all(), dw_kl: (product - &prior).mean_all() }
}

/// Returns log q(z_id|x_jd) of each z `[I, D]` under each posterior `[J, D]`: `[I, J, D]`.
pub(super) fn pair_densities(z: &Var, mu: &Var, logvar: &Var) -> Var {
    let ([i, d], [j, _]) = (z.shape().matrix("z"), mu.shape().matrix("mu"));
    log_density(&z.reshape([i, 1, d]), &mu.reshape([1, j, d]), &logvar.reshape([1, j, d]))
}

/// Returns ln N(z; mu, e^logvar) element by element.
pub(super) fn log_density(z: &Var, mu: &Var, logvar: &Var) -> Var {
    let scaled = (z - mu).square() * logvar.mul_scalar(-1.0).exp();
    (scaled + logvar.add_scalar(LN_2PI)).mul_scalar(-0.5)
}

const LN_2PI: f32 = 1.837_877_1;

#[track_caller]
pub(super) fn same_shape(z: &Var, mu: &Var, logvar: &Var) -> [usize; 2] {
    let shapes = [z.shape(), mu.shape(), logvar.shape()];
    assert!(shapes[0] == shapes[1] && shapes[1] == shapes[2], "latent terms: z, mu and logvar of {shapes:?}");
    z.shape().matrix("latent terms")
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator};

    use super::*;

    const ALL: [Estimator; 4] = [Estimator::Batch, Estimator::Mws, Estimator::Mss, Estimator::Unnormalised];

    fn values(terms: &LatentTerms) -> [f64; 3] {
        [&terms.mi, &terms.tc, &terms.dw_kl].map(|term| f64::from(term.value().data()[0]))
    }

    /// Returns the terms for z = mu.
    fn at_means(mu: &[f32], logvar: f32, d: usize, estimator: Estimator, dataset: usize) -> [f64; 3] {
        let shape = [mu.len() / d, d];
        let (mu, logvar) = (Var::constant(Tensor::new(mu, shape)), Var::constant(Tensor::full(shape, logvar)));
        values(&latent_terms(&mu, &mu, &logvar, estimator, dataset))
    }

    #[track_caller]
    fn close(got: [f64; 3], expected: [f64; 3], tolerance: f64) {
        let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance);
        assert!(near, "{got:?}, expected {expected:?}");
    }

    /// Returns random z, mu and logvar.
    fn random(b: usize, d: usize) -> [Tensor; 3] {
        let mut rng = Generator::new(3);
        [1.5, 1.0, 0.5].map(|scale| rng.normal_tensor([b, d]).mul_scalar(scale))
    }

    fn terms_of([z, mu, logvar]: &[Tensor; 3], estimator: Estimator, dataset: usize) -> [f64; 3] {
        let [z, mu, logvar] = [z, mu, logvar].map(|x| Var::constant(x.clone()));
        values(&latent_terms(&z, &mu, &logvar, estimator, dataset))
    }

    fn ln_normal(z: f64, mu: f64, logvar: f64) -> f64 {
        -0.5 * ((2.0 * std::f64::consts::PI).ln() + logvar + (z - mu).powi(2) / logvar.exp())
    }

    fn logsumexp(x: &[f64]) -> f64 {
        let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + x.iter().map(|x| (x - most).exp()).sum::<f64>().ln()
    }

    /// Returns the terms by their definition, in f64, for any weights. `joint_times` is how often a weight is added in
    /// log q(z).
    fn by_definition(
        [z, mu, logvar]: [&Array; 3],
        log_weight: impl Fn(usize, usize) -> f64,
        joint_times: f64,
    ) -> [f64; 3] {
        let (b, d) = (z.shape[0], z.shape[1]);
        let density =
            |i: usize, j: usize, k: usize| ln_normal(z.data[i * d + k], mu.data[j * d + k], logvar.data[j * d + k]);
        let all = |i: usize, j: usize| (0..d).map(|k| density(i, j, k)).sum::<f64>();
        let mut sums = [0.0; 3];
        for i in 0..b {
            let joint: Vec<f64> = (0..b).map(|j| joint_times * log_weight(i, j) + all(i, j)).collect();
            let single = |k| logsumexp(&(0..b).map(|j| log_weight(i, j) + density(i, j, k)).collect::<Vec<_>>());
            let (joint, product) = (logsumexp(&joint), (0..d).map(single).sum::<f64>());
            let prior: f64 = (0..d).map(|k| ln_normal(z.data[i * d + k], 0.0, 0.0)).sum();
            let terms = [all(i, i) - joint, joint - product, product - prior];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term / b as f64);
        }
        sums
    }

    /// The weights of each estimator, from its paper. For `mss`, B = 5 and N = 40, so M = 4.
    fn written_out(estimator: Estimator, i: usize, j: usize) -> f64 {
        match estimator {
            Estimator::Batch => (1.0_f64 / 5.0).ln(),
            Estimator::Mws => (1.0_f64 / 200.0).ln(),
            Estimator::Unnormalised => 0.0,
            Estimator::Mss => [1.0_f64 / 40.0, 36.0 / 160.0, 0.25, 0.25, 0.25][(5 + j - i) % 5].ln(),
        }
    }

    #[test]
    fn latents_without_information_have_terms_of_zero() {
        let zeros = Var::constant(Tensor::zeros([8, 3]));
        let z = Var::constant(random(8, 3)[0].clone());
        close(values(&latent_terms(&z, &zeros, &zeros, Estimator::Batch, 100)), [0.0; 3], 1e-5);
    }

    #[test]
    fn four_corners_have_a_mutual_information_of_ln_4_and_no_total_correlation() {
        let corners = [50.0, 50.0, 50.0, -50.0, -50.0, 50.0, -50.0, -50.0];
        let [mi, tc, _] = at_means(&corners, -10.0, 2, Estimator::Batch, 100);
        close([mi, tc, 0.0], [4_f64.ln(), 0.0, 0.0], 1e-5);
    }

    #[test]
    fn two_opposite_corners_have_a_mutual_information_and_total_correlation_of_ln_2() {
        let [mi, tc, _] = at_means(&[50.0, 50.0, -50.0, -50.0], -10.0, 2, Estimator::Batch, 100);
        close([mi, tc, 0.0], [2_f64.ln(), 2_f64.ln(), 0.0], 1e-5);
    }

    #[test]
    fn the_sum_of_the_terms_does_not_depend_on_the_estimator() {
        let inputs = random(7, 4);
        let [z, mu, logvar] = inputs.each_ref().map(Array::of);
        let own = |at: usize| ln_normal(z.data[at], mu.data[at], logvar.data[at]) - ln_normal(z.data[at], 0.0, 0.0);
        let sum = (0..28).map(own).sum::<f64>() / 7.0;
        for estimator in ALL {
            let terms = terms_of(&inputs, estimator, 1000);
            assert!((terms.iter().sum::<f64>() - sum).abs() < 1e-5, "{estimator}: {terms:?}, in all {sum}");
        }
    }

    #[test]
    fn stratified_weights_of_an_image_sum_to_one() {
        for (batch, dataset) in [(2, 2), (3, 3), (5, 40), (64, 50_000)] {
            let weights = log_weights(Estimator::Mss, batch, dataset);
            for (i, row) in weights.data().chunks(batch).enumerate() {
                let sum: f64 = row.iter().map(|&w| f64::from(w).exp()).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{sum}");
                assert!((f64::from(row[i]).exp() * dataset as f64 - 1.0).abs() < 1e-5, "its own counts once in N");
                let others = f64::from(row[(i + 2) % batch]).exp() * (batch - 1) as f64;
                assert!(batch == 2 || (others - 1.0).abs() < 1e-5, "the others count once in B − 1");
            }
        }
    }

    #[test]
    fn mss_falls_back_to_batch_for_one_image_and_for_a_batch_larger_than_the_data_set() {
        for (batch, dataset) in [(1, 1), (1, 50_000), (6, 5)] {
            let inputs = random(batch, 3);
            for estimator in ALL {
                assert!(terms_of(&inputs, estimator, dataset).iter().all(|term| term.is_finite()), "{estimator}");
            }
            let [mss, plain] = [Estimator::Mss, Estimator::Batch].map(|e| terms_of(&inputs, e, dataset));
            assert_eq!(mss, plain);
        }
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for estimator in ALL {
            let op = |inputs: &[Var]| {
                let terms = latent_terms(&inputs[0], &inputs[1], &inputs[2], estimator, 40);
                Var::concat(&[&terms.mi, &terms.tc, &terms.dw_kl].map(|term| term.reshape([1])).each_ref(), 0)
            };
            let reference = |inputs: &[Array]| {
                let [z, mu, logvar] = inputs else { panic!("three inputs") };
                Array::new([3], by_definition([z, mu, logvar], |i, j| written_out(estimator, i, j), 1.0).to_vec())
            };
            let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, &random(5, 3), 9));
            checked.unwrap_or_else(|mismatch| panic!("{estimator}: {mismatch}"));
        }
    }

    /// Some public code fills the matrix of weights by strides, so that columns 0 and 1 take the role of i and i + 1
    /// for every image. If no two posteriors overlap, an image has only its own posterior, with the weight 1/N: the
    /// mutual information is ln N.
    #[test]
    fn an_image_s_own_posterior_is_on_the_diagonal() {
        let apart: Vec<f32> = (0..5).map(|i| 100.0 * i as f32).collect();
        let [mi, tc, _] = at_means(&apart, -4.0, 1, Estimator::Mss, 40);
        close([mi, tc, 0.0], [40_f64.ln(), 0.0, 0.0], 1e-4);

        let columns = |i: usize, j: usize| match (i, j) {
            (4, 0) | (_, 1) => (36.0_f64 / 160.0).ln(),
            (_, 0) => (1.0_f64 / 40.0).ln(),
            _ => 0.25_f64.ln(),
        };
        let mu = Array::new([5, 1], apart.iter().map(|&x| f64::from(x)).collect());
        let logvar = Array::new([5, 1], vec![-4.0; 5]);
        let [wrong, ..] = by_definition([&mu, &mu, &logvar], columns, 1.0);
        assert!((wrong - 40_f64.ln()).abs() > 1.0, "{wrong}");
        let inputs = random(5, 3);
        let [z, mu, logvar] = inputs.each_ref().map(Array::of);
        let (ours, wrong) = (terms_of(&inputs, Estimator::Mss, 40), by_definition([&z, &mu, &logvar], columns, 1.0));
        assert!((ours[0] - wrong[0]).abs() > 0.1, "{ours:?} {wrong:?}");
    }

    /// Some public code adds the weight before the sum over dimensions, so that it is counted once per dimension in log
    /// q(z). The D − 1 additional weights move that amount from TC to MI. With one latent there is no difference.
    #[test]
    fn the_weight_is_added_once_in_the_joint_density() {
        for (d, estimator) in [
            (1, Estimator::Batch),
            (1, Estimator::Mss),
            (3, Estimator::Batch),
            (3, Estimator::Mws),
            (3, Estimator::Mss),
        ] {
            let inputs = random(5, d);
            let [z, mu, logvar] = inputs.each_ref().map(Array::of);
            let ours = terms_of(&inputs, estimator, 40);
            let wrong = by_definition([&z, &mu, &logvar], |i, j| written_out(estimator, i, j), d as f64);
            let excess = match estimator {
                Estimator::Mss => wrong[0] - ours[0], // no closed form because the weights differ
                _ => (d as f64 - 1.0) * -written_out(estimator, 0, 0),
            };
            assert!(d == 1 && excess.abs() < 1e-4 || excess > 1.0, "{estimator}, {d}: {excess}");
            close(wrong, [ours[0] + excess, ours[1] - excess, ours[2]], 1e-4);
        }
    }
}
