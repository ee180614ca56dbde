//! Importance weighted bounds: IWAE (Burda, Grosse and Salakhutdinov, 1509.00519, eq. 8) and MIWAE (Rainforth et al.,
//! 1802.04537, eq. 13), the mean of M such bounds of K draws each. For an image x and draws z_mk ~ q(z|x):
//!
//! ```text
//! w = p(x|z)·p(z)/q(z|x)
//! loss = −1/M Σ_m ln 1/K Σ_k w_mk   ≥ −ln p(x) in expectation
//! ```
//!
//! K = 1 gives the negative ELBO, estimated by M draws. The loss falls with K towards −ln p(x).
//!
//! Two estimators of the gradient have the same expectation. With w̃_k = w_k/Σ_j w_j, θ the weights of the decoder and φ those
//! of the encoder:
//!
//! ```text
//! plain   by differentiation: Σ_k w̃_k·d ln w_k
//! dreg    θ as plain;  φ: Σ_k w̃_k²·∂ln w_k/∂z_k·dz_k/dφ      doubly reparameterised: Tucker et al., 1810.04152, eq. 8
//! ```
//!
//! The signal of the plain estimator for φ vanishes beside its noise as K grows, that of `dreg` does not (Rainforth et al.).
//! In one backward pass, `dreg` takes the parameters of q in ln q as constants, and multiplies the gradient that reaches each
//! draw z_k, which has the factor w̃_k already, by w̃_k once more.

use std::cell::RefCell;
use std::rc::Rc;

use autograd::Var;
use tensor::Tensor;

use crate::config::{Config, GradientEstimator, LossKind};

/// The draws of a bound and the estimator of its gradient.
#[derive(Clone, Copy, Debug)]
pub(super) struct Importance {
    samples: usize,
    bounds: usize,
    gradient: GradientEstimator,
}

/// Draws from the posteriors of a batch of B images, S for each.
#[derive(Clone, Debug)]
pub struct Draws {
    /// The draws, `[B·S, z]`. Those of an image are after each other.
    pub z: Var,
    /// With `mmd` as many draws from the prior, `[B, z]`.
    pub(super) prior: Option<Tensor>,
    /// With `factor` the places of the permuted draws, `[B·z]`; see `learn::Batch`.
    pub permutation: Option<Tensor>,
    /// With `csvae` the one-hot vectors of the labels, `[B, labels]`.
    pub labels: Option<Tensor>,
    /// With `dreg` the weights w̃ of the draws, `[B·S, 1]`, once they are known.
    weights: Option<Rc<RefCell<Option<Tensor>>>>,
}

impl Draws {
    /// One draw for each image.
    pub(super) fn single(z: Var) -> Draws {
        Draws { z, prior: None, permutation: None, labels: None, weights: None }
    }
}

impl Importance {
    /// Returns `None` for the other losses.
    pub(super) fn new(config: &Config) -> Option<Importance> {
        let loss = &config.loss;
        let (samples, bounds, gradient) = (loss.samples, loss.bounds, loss.gradient);
        (loss.kind == LossKind::Iwae).then_some(Importance { samples, bounds, gradient })
    }

    /// Returns the number of draws for each image, M·K.
    pub(super) fn draws(self) -> usize {
        self.samples * self.bounds
    }

    /// Returns z = mu + exp(logvar/2)·eps. `mu` and `logvar` are `[B, z]`, and `eps`, `[B, S·z]`, has the noise of all draws.
    pub(super) fn draw(self, mu: &Var, logvar: &Var, eps: &Tensor) -> Draws {
        let [images, width] = mu.shape().matrix("draws");
        let eps = Var::constant(eps.reshape([images, self.draws(), width]));
        let each = |x: &Var| x.reshape([images, 1, width]);
        let z = each(mu) + each(&logvar.mul_scalar(0.5).exp()) * eps;
        let z = z.reshape([images * self.draws(), width]);
        if self.gradient == GradientEstimator::Plain {
            return Draws::single(z);
        }
        let weights: Rc<RefCell<Option<Tensor>>> = Rc::default();
        let known = weights.clone();
        let z = Var::record("weighted_draws", z.value().clone(), |edge| {
            edge.to(&z, move |dz| dz.mul(known.borrow().as_ref().expect("the bound was computed")));
        });
        Draws { weights: Some(weights), ..Draws::single(z) }
    }

    /// Returns the loss of a batch, a scalar. `log_density` is ln p(x|z) of each draw, `[B, S]`.
    pub(super) fn bound(self, draws: &Draws, log_density: &Var, mu: &Var, logvar: &Var) -> Var {
        let [images, _] = mu.shape().matrix("bound");
        let ratio = match self.gradient {
            GradientEstimator::Plain => log_prior_ratio(&draws.z, mu, logvar),
            GradientEstimator::Dreg => log_prior_ratio(&draws.z, &mu.detach(), &logvar.detach()),
        };
        let log_weights = (log_density + ratio).reshape([images, self.bounds, self.samples]);
        if let Some(weights) = &draws.weights {
            let normalised = log_weights.value().softmax(2);
            *weights.borrow_mut() = Some(normalised.reshape([images * self.draws(), 1]));
        }
        log_weights.logsumexp(2).mean_all().mul_scalar(-1.0).add_scalar((self.samples as f32).ln())
    }
}

/// Returns ln p(z)/q(z|x) of S draws for each of B images, `[B, S]`: ½ Σ_d (logvar + (z − mu)²·exp(−logvar) − z²). `z` is
/// `[B·S, z]`; `mu` and `logvar` are `[B, z]`.
///
/// # Panics
/// If the shapes do not fit.
#[track_caller]
pub fn log_prior_ratio(z: &Var, mu: &Var, logvar: &Var) -> Var {
    let [images, width] = mu.shape().matrix("log_prior_ratio");
    let z = z.reshape([images, z.shape()[0] / images, width]);
    let [mu, logvar] = [mu, logvar].map(|x| x.reshape([images, 1, width]));
    let standardised = (&z - mu).square() * logvar.mul_scalar(-1.0).exp();
    (standardised + &logvar - z.square()).sum(&[2], false).mul_scalar(0.5)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use tensor::Generator;

    use super::*;

    fn importance(bounds: usize, samples: usize, gradient: GradientEstimator) -> Importance {
        Importance { samples, bounds, gradient }
    }

    /// The linear model x = 1.5·z + ½·noise with one number in z and in x, as logarithm of p(x|z), `[B, S]`, for an x.
    fn log_density(z: &Var, x: f32, images: usize) -> Var {
        let error = z.mul_scalar(1.5).add_scalar(-x).mul_scalar(2.0).square().mul_scalar(-0.5);
        let constant = -(0.5_f64.ln() + 0.5 * (2.0 * PI).ln());
        error.add_scalar(constant as f32).reshape([images, z.shape()[0] / images])
    }

    /// The loss for these posteriors and this noise.
    fn loss(of: Importance, mu: &Var, logvar: &Var, eps: &Tensor, x: f32) -> Var {
        let draws = of.draw(mu, logvar, eps);
        of.bound(&draws, &log_density(&draws.z, x, mu.shape()[0]), mu, logvar)
    }

    fn leaf(values: &[f32]) -> Var {
        Var::leaf(Tensor::new(values, [values.len(), 1]))
    }

    fn value(x: &Var) -> f64 {
        f64::from(x.value().data()[0])
    }

    /// −ln N(x; 0, 1.5² + ¼).
    fn exact(x: f64) -> f64 {
        0.5 * (x * x / 2.5 + (2.0 * PI * 2.5).ln())
    }

    #[test]
    fn the_exact_posterior_gives_the_likelihood_for_any_draws() {
        let precision = 1.0 + 1.5_f32.powi(2) / 0.25;
        let (mu, logvar) = (leaf(&[1.5 * 0.8 / 0.25 / precision]), leaf(&[-precision.ln()]));
        for (bounds, samples) in [(1, 1), (1, 7), (3, 2)] {
            let eps = Generator::new(1).normal_tensor([1, bounds * samples]);
            for gradient in [GradientEstimator::Plain, GradientEstimator::Dreg] {
                let loss = value(&loss(importance(bounds, samples, gradient), &mu, &logvar, &eps, 0.8));
                assert!((loss - exact(0.8)).abs() < 1e-5, "{bounds}×{samples}: {loss}, exactly {}", exact(0.8));
            }
        }
    }

    /// One draw is −ln w, in which the KL is ln q − ln p of the draw. M bounds of one draw are the mean of M such.
    #[test]
    fn bounds_of_one_draw_are_the_elbo() {
        let (mu, logvar, eps) = ([0.3_f64, -0.6], [0.4_f64, -1.0], [1.2_f64, -0.3, 0.1, 0.9, -1.5, 0.7]);
        let normal =
            |x: f64, mean: f64, variance: f64| -0.5 * ((x - mean).powi(2) / variance + (2.0 * PI * variance).ln());
        let elbo = |image: usize, eps: f64| {
            let z = mu[image] + (0.5 * logvar[image]).exp() * eps;
            normal(0.8, 1.5 * z, 0.25) + normal(z, 0.0, 1.0) - normal(z, mu[image], logvar[image].exp())
        };
        let expected = -(0..6).map(|i| elbo(i / 3, eps[i])).sum::<f64>() / 6.0;
        let [mu, logvar] = [mu, logvar].map(|x| leaf(&x.map(|x| x as f32)));
        let eps = Tensor::new(&eps.map(|x| x as f32), [2, 3]);
        let found = value(&loss(importance(3, 1, GradientEstimator::Plain), &mu, &logvar, &eps, 0.8));
        assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
    }

    /// By Jensen's inequality the loss of the same draws falls as they are put into fewer bounds, towards −ln p(x).
    #[test]
    fn the_bound_rises_with_the_draws() {
        let (mu, logvar) = (Var::constant(Tensor::zeros([500, 1])), Var::constant(Tensor::zeros([500, 1])));
        let eps = Generator::new(2).normal_tensor([500, 64]);
        let losses = [(64, 1), (16, 4), (4, 16), (1, 64)].map(|(bounds, samples)| {
            value(&loss(importance(bounds, samples, GradientEstimator::Plain), &mu, &logvar, &eps, 0.8))
        });
        assert!(losses.windows(2).all(|pair| pair[0] > pair[1] + 0.01), "{losses:?}");
        assert!(losses[0] - exact(0.8) > 1.0 && (losses[3] - exact(0.8)).abs() < 0.05, "{losses:?}");
    }

    /// The gradients of 20,000 estimates by the posterior's mean and logvar, and by what is added to ln p(x|z).
    fn gradients(gradient: GradientEstimator) -> [Vec<f64>; 2] {
        const ESTIMATES: usize = 20_000;
        let column = |value: f32| leaf(&vec![value; ESTIMATES]);
        let (mu, logvar) = (column(0.2), column(-0.7));
        let eps = Generator::new(3).normal_tensor([ESTIMATES, 8]);
        let found = loss(importance(1, 8, gradient), &mu, &logvar, &eps, 0.8).backward();
        [&mu, &logvar].map(|var| {
            let each = found.of(var).unwrap().data().iter();
            each.map(|&x| f64::from(x) * ESTIMATES as f64).collect()
        })
    }

    fn mean_and_variance(x: &[f64]) -> [f64; 2] {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        [mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64]
    }

    #[test]
    fn both_estimators_have_the_same_mean_and_dreg_has_less_noise() {
        let (plain, dreg) = (gradients(GradientEstimator::Plain), gradients(GradientEstimator::Dreg));
        for (plain, dreg) in plain.iter().zip(&dreg) {
            let [[a, noise], [b, less]] = [plain, dreg].map(|x| mean_and_variance(x));
            let error = ((noise + less) / plain.len() as f64).sqrt();
            assert!((a - b).abs() < 4.0 * error, "{a} and {b}, whose difference has the error {error}");
            assert!(a.abs() > 10.0 * error, "the mean {a} is not 0");
            assert!(less < 0.5 * noise, "{less} of {noise}");
        }
    }

    /// What does not belong to the encoder has the same gradient from both, draw by draw.
    #[test]
    fn the_gradient_of_the_decoder_is_the_plain_one() {
        let eps = Generator::new(4).normal_tensor([5, 6]);
        let gradient = |how: GradientEstimator| {
            let weight = Var::leaf(Tensor::new(&[1.5], [1, 1]));
            let (mu, logvar) = (leaf(&[0.1, -0.4, 0.7, 0.0, 1.1]), leaf(&[-0.5; 5]));
            let of = importance(2, 3, how);
            let draws = of.draw(&mu, &logvar, &eps);
            let density = (&draws.z * &weight).add_scalar(-0.8).square().mul_scalar(-2.0).reshape([5, 6]);
            of.bound(&draws, &density, &mu, &logvar).backward().of(&weight).unwrap().data()[0]
        };
        let [plain, dreg] = [GradientEstimator::Plain, GradientEstimator::Dreg].map(gradient);
        assert!(plain != 0.0 && (plain - dreg).abs() < 1e-6 * plain.abs(), "{plain} and {dreg}");
    }
}
