//! What is minimised, summed over pixels or latents, mean over images:
//!
//!   beta:     reconstruction + β·KL(q(z|x) ‖ N(0, I))
//!   weighted: k1·reconstruction + k2·KL
//!
//! With `loss.reduction = "mean"` both sums become means, over D = C·S² pixels and over z latents: weights k1/D and k2/z.
//! Either way the *effective* β, weight of the summed KL over weight of the summed reconstruction, says what the trade
//! is: k2/k1 for sums, k2/k1·D/z for means, where k1 = 1 and k2 = β for `beta`; infinite if only the KL counts.

mod terms;

use autograd::Var;
use tensor::Tensor;

use crate::config::{Config, LossKind, Output, Reconstruction, Reduction};

pub use terms::{Outline, Part, Terms};

/// An objective, its weights worked out.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    kind: Reconstruction,
    output: Output,
    /// Weight of the summed reconstruction.
    pub reconstruction: f64,
    /// Weight of the summed KL.
    pub kl: f64,
}

impl Objective {
    /// The objective that a configuration asks for.
    pub fn new(config: &Config) -> Objective {
        let (pixels, latents) = (pixels(config) as f64, config.model.z_dim as f64);
        let [k1, k2] = weights(config);
        let [reconstruction, kl] = match config.loss.reduction {
            Reduction::Sum => [k1, k2],
            Reduction::Mean => [k1 / pixels, k2 / latents],
        };
        Objective { kind: config.loss.reconstruction, output: config.model.output, reconstruction, kl }
    }

    /// The loss of a batch `x`, from the decoder's numbers and the encoder's Gaussians.
    pub fn terms(&self, logits: &Var, x: &Tensor, mu: &Var, logvar: &Var) -> Terms {
        let reconstruction = self.reconstruction_term(logits, x);
        let kl = nn::loss::gaussian_kl(mu, logvar).mean_all();
        Terms::weighted([("reconstruction", self.reconstruction, reconstruction), ("kl", self.kl, kl)])
    }

    /// The reconstruction term of a batch: summed over pixels, mean over images.
    pub fn reconstruction_term(&self, logits: &Var, x: &Tensor) -> Var {
        match self.kind {
            Reconstruction::Sse => nn::loss::sse(&self.output.apply(logits), x),
            Reconstruction::HalfSse => nn::loss::half_sse(&self.output.apply(logits), x),
            Reconstruction::Bce => nn::loss::bce(logits, x), // reads logits: the sigmoid is inside, where it is stable
        }
    }
}

impl Output {
    /// Pixels from the decoder's numbers.
    pub fn apply(self, logits: &Var) -> Var {
        match self {
            Output::Linear => logits.clone(),
            Output::Sigmoid => logits.sigmoid(),
            Output::Tanh => logits.tanh(),
        }
    }
}

/// Weight of the summed KL over weight of the summed reconstruction.
pub fn effective_beta(config: &Config) -> f64 {
    let [k1, k2] = weights(config);
    match config.loss.reduction {
        Reduction::Sum => k2 / k1,
        Reduction::Mean => k2 / k1 * pixels(config) as f64 / config.model.z_dim as f64,
    }
}

/// The weights of reconstruction and KL, before either is made a mean.
fn weights(config: &Config) -> [f64; 2] {
    let loss = &config.loss;
    match loss.kind {
        LossKind::Beta => [1.0, loss.beta],
        LossKind::Weighted => [loss.k1, loss.k2],
    }
}

fn pixels(config: &Config) -> usize {
    config.channels() * config.image_size() * config.image_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(beta: f64, reduction: Reduction) -> Config {
        let mut config = Config::default();
        (config.loss.beta, config.loss.reduction) = (beta, reduction);
        (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(3), Some(64), 512);
        config
    }

    #[test]
    fn effective_beta_is_beta_for_sums_and_grows_by_pixels_over_latents_for_means() {
        assert_eq!(effective_beta(&config(4.0, Reduction::Sum)), 4.0);
        assert!((effective_beta(&config(0.01, Reduction::Mean)) - 0.24).abs() < 1e-12); // 0.01·12288/512
        assert_eq!(effective_beta(&config(0.0, Reduction::Mean)), 0.0);
    }

    #[test]
    fn the_total_is_the_weighted_sum_of_unweighted_terms() {
        let x = Tensor::new(&[0.0, 1.0, 1.0, 0.0], [1, 1, 2, 2]);
        let logits = Var::constant(Tensor::new(&[0.5, 0.5, 0.0, 0.0], [1, 1, 2, 2]));
        let (mu, logvar) = (Var::constant(Tensor::new(&[1.0, 0.0], [1, 2])), Var::constant(Tensor::zeros([1, 2])));
        for reduction in [Reduction::Sum, Reduction::Mean] {
            let mut config = config(3.0, reduction);
            (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(1), Some(2), 2);
            let objective = Objective::new(&config);
            let terms = objective.terms(&logits, &x, &mu, &logvar);
            assert_eq!(terms.part("reconstruction").unwrap().value().data(), [1.5]);
            assert_eq!(terms.part("kl").unwrap().value().data(), [0.5]);
            let expected = match reduction {
                Reduction::Sum => 1.5 + 3.0 * 0.5,
                Reduction::Mean => 1.5 / 4.0 + 3.0 * 0.5 / 2.0,
            };
            assert_eq!(terms.total.value().data(), [expected as f32]);
            assert_eq!(terms.outline().losses(&[1.5, 0.5]).total, expected);
        }
    }

    #[test]
    fn two_weights_are_a_beta_and_a_scale() {
        let weighted = |k1, k2, reduction| {
            let mut config = config(7.0, reduction);
            (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
            (effective_beta(&config), Objective::new(&config))
        };
        let (effective, objective) = weighted(0.5, 0.5, Reduction::Sum);
        assert_eq!((effective, objective.reconstruction, objective.kl), (1.0, 0.5, 0.5));
        assert_eq!(weighted(0.25, 0.5, Reduction::Sum).0, 2.0);
        assert_eq!(weighted(0.5, 0.5, Reduction::Mean).0, 24.0); // 12288/512
        assert_eq!(weighted(1.0, 0.0, Reduction::Sum).0, 0.0);
        for reduction in [Reduction::Sum, Reduction::Mean] {
            assert_eq!(weighted(0.0, 1.0, reduction).0, f64::INFINITY);
        }
    }

    #[test]
    fn neither_extreme_of_the_weights_gives_nan() {
        for (k1, k2) in [(0.0, 1.0), (1.0, 0.0)] {
            let mut config = Config::default();
            (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
            let leaf = |numbers: &[f32]| Var::leaf(Tensor::new(numbers, [1, 2]));
            let (mu, logvar) = (leaf(&[3.0, -40.0]), leaf(&[20.0, -30.0]));
            let logits = Var::leaf(Tensor::new(&[1e6, -1e6], [1, 1, 1, 2]));
            let terms = Objective::new(&config).terms(&logits, &Tensor::zeros([1, 1, 1, 2]), &mu, &logvar);
            let gradients = terms.total.backward();
            assert!(terms.total.value().data()[0].is_finite());
            for (var, weight) in [(&mu, k2), (&logvar, k2), (&logits, k1)] {
                let gradient = gradients.of(var).unwrap().data();
                assert!(gradient.iter().all(|x| x.is_finite() && (*x != 0.0) == (weight > 0.0)), "{gradient:?}");
            }
        }
    }

    #[test]
    fn a_sigmoid_is_applied_once() {
        let mut config = Config::default();
        (config.model.output, config.loss.reconstruction) = (Output::Sigmoid, Reconstruction::Sse);
        let (logits, x) = (Var::constant(Tensor::zeros([1, 1, 1, 1])), Tensor::ones([1, 1, 1, 1]));
        let sse = Objective::new(&config).reconstruction_term(&logits, &x).value().data()[0];
        assert_eq!(sse, 0.25); // (1 − σ(0))²
        config.loss.reconstruction = Reconstruction::Bce;
        let bce = Objective::new(&config).reconstruction_term(&logits, &x).value().data()[0];
        assert!((bce - std::f32::consts::LN_2).abs() < 1e-6); // −ln σ(0)
    }
}
