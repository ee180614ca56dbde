//! The objective that training minimises. Its terms are summed over pixels or latents and averaged over images:
//!
//! ```text
//! beta:     reconstruction + β·KL(q(z|x) ‖ N(0, I))
//! weighted: k1·reconstruction + k2·KL
//! tc:       reconstruction + α·MI + β·TC + γ·DW-KL          the KL in three parts, see `latent_terms`
//! iwae:     −ln 1/K Σ_k p(x|z_k)·p(z_k)/q(z_k|x)            importance weighted draws, see `importance`
//! dip:      reconstruction + β·KL + λ_od·Σ_{i≠j} C_ij² + λ_d·Σ_i (C_ii − 1)²     C = Cov[z], see `dip`
//! mmd:      reconstruction + (1 − α)·KL + (α + λ − 1)·MMD(q(z), p(z))            InfoVAE and WAE, see `mmd`
//! factor:   reconstruction + β·KL + γ·TC                                         TC by a discriminator, see `factor`
//! ```
//!
//! With `loss.reduction = "mean"` the reconstruction is averaged over the D = C·S² pixel values and the KL over the z
//! latents, so the weights are k1/D and k2/z.
//!
//! The *effective* β is the weight of the summed KL divided by the weight of the summed reconstruction: k2/k1 for sums
//! and k2/k1·D/z for means. There k1 = 1, except for `weighted`, and k2 = β for `beta`, `tc`, `dip` and `factor`, 1 − α for `mmd`.
//! It is comparable between both reductions. It is infinite if k1 = 0.
//!
//! A [`KlSchedule`] may change the weight of the KL during training. The effective β uses the weight at the end.

mod dip;
mod exact;
mod factor;
mod importance;
mod latent_terms;
mod likelihood;
mod losses;
mod mmd;
mod schedule;
mod terms;
mod vamp;

use autograd::Var;
use nn::{ForwardContext, Module, Visitor};
use tensor::Tensor;

use crate::config::{Config, Estimator, LossKind, Output, Reduction};
use dip::DipPenalty;
use factor::Factor;
use likelihood::Likelihood;
use mmd::Mmd;

pub use exact::exact_latent_terms;
use importance::Importance;
pub use importance::{Draws, log_prior_ratio};
pub use latent_terms::{LatentTerms, latent_terms, log_weights};
pub use losses::{Losses, number, parse_number, part_label, part_name, part_unit};
pub use mmd::mmd;
pub use schedule::{END, KlSchedule};
pub use terms::{Part, TermWeights, Terms};
pub use vamp::{log_mixture, vamp_kl};

/// An objective with its weights. A variance that is learned, or a running mean, is a tensor of it.
#[derive(Clone, Debug)]
pub struct Objective {
    likelihood: Likelihood,
    /// The weight of the summed reconstruction.
    pub reconstruction: f64,
    /// The weight of the summed KL, or with `tc` of the summed total correlation.
    pub kl: f64,
    /// With `tc`, the weights of MI and DW-KL, and the estimator of all three terms.
    parts: Option<([f64; 2], Estimator)>,
    /// With `iwae`, its draws.
    importance: Option<Importance>,
    dip: Option<DipPenalty>,
    mmd: Option<Mmd>,
    factor: Option<Factor>,
    schedule: KlSchedule,
}

/// The time of a batch, and the size of its split.
#[derive(Clone, Copy, Debug)]
pub struct ScheduleContext {
    /// Epochs since the start of training, with fractions for steps; [`END`] for validation.
    pub epochs: f64,
    /// The number of images in the split of the batch. q(z) is a mean over all of them.
    pub images: usize,
}

impl Objective {
    /// Creates the objective of a configuration.
    pub fn new(config: &Config) -> Objective {
        let loss = &config.loss;
        let [k1, k2] = config.loss_weights();
        let [pixels, latents] = match loss.reduction {
            Reduction::Sum => [1.0; 2],
            Reduction::Mean => [config.pixels() as f64, config.model.z_dim as f64],
        };
        Objective {
            likelihood: Likelihood::new(config),
            reconstruction: k1 / pixels,
            kl: k2 / latents,
            parts: (loss.kind == LossKind::Tc)
                .then_some(([loss.alpha, loss.gamma].map(|w| w / latents), loss.estimator)),
            importance: Importance::new(config),
            dip: DipPenalty::new(config),
            mmd: Mmd::new(config),
            factor: Factor::new(config),
            schedule: KlSchedule::new(config),
        }
    }

    /// Returns the number of latents to draw for each image. `draw` makes them.
    pub fn draws(&self) -> usize {
        self.importance.map_or(1, Importance::draws)
    }

    /// Returns how many vectors of noise `draw` needs for each image: one for each draw, and with `mmd` one for the prior.
    pub fn noise_vectors(&self) -> usize {
        self.draws() + usize::from(self.mmd.is_some())
    }

    /// Returns whether `loss` needs the permutation of the draws.
    pub fn permutes(&self) -> bool {
        self.factor.is_some()
    }

    /// Draws latents from the posteriors of B images. `mu` and `logvar` are `[B, z]`. `eps`, `[B, N·z]`, has the N standard normal
    /// vectors of each image.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn draw(&self, mu: &Var, logvar: &Var, eps: &Tensor) -> Draws {
        match (self.importance, self.mmd) {
            (Some(importance), _) => importance.draw(mu, logvar, eps),
            (None, Some(_)) => Mmd::draw(mu, logvar, eps),
            (None, None) => Draws::single(mu.reparameterise(logvar, eps)),
        }
    }

    /// Returns the loss of a batch, for what [`Objective::draw`] returned and what the decoder made of it. With `iwae`, the part
    /// of this name is the loss. The reconstruction, with all constants, and the KL are further metrics. For the other losses
    /// see [`Objective::terms`], to which `dip`, `mmd` and `factor` add their penalties.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn loss(
        &self,
        logits: &Var,
        x: &Tensor,
        draws: &Draws,
        [mu, logvar]: [&Var; 2],
        schedule: ScheduleContext,
        ctx: &ForwardContext,
    ) -> Terms {
        let Some(importance) = self.importance else {
            let mut terms = self.terms(logits, x, [&draws.z, mu, logvar], schedule, ctx);
            if let Some(dip) = self.dip {
                let [off_diagonal, diagonal] = dip.squares(mu, logvar);
                terms =
                    terms.plus("off_diagonal", dip.off_diagonal, off_diagonal).plus("diagonal", dip.diagonal, diagonal);
            }
            if let (Some(Mmd { weight }), Some(prior)) = (self.mmd, &draws.prior) {
                terms = terms.plus("mmd", weight, mmd(&draws.z, prior));
            }
            if let (Some(factor), Some(permutation)) = (&self.factor, &draws.permutation) {
                terms = factor.add_to(terms, &draws.z, permutation, ctx);
            }
            return terms;
        };
        let density = self.likelihood.log_density(logits, x);
        let bound = importance.bound(draws, &density, mu, logvar);
        let kl = nn::loss::gaussian_kl(mu, logvar).mean_all();
        let reconstruction = density.mean_all().mul_scalar(-1.0);
        let terms = Terms::weighted([("iwae", 1.0, bound)]).with_metric("reconstruction", reconstruction.detach());
        terms.with_metric("kl", kl.detach()).with_some_metric("sigma", self.likelihood.learned_sigma())
    }

    /// Returns the loss of a batch with one draw for each image. `x` are the target images, `[batch, channels, size, size]`.
    /// `logits` is the decoder's output before the activation, shaped as `x`. z, mu and logvar are the latents and the
    /// parameters of their posteriors, each `[batch, z]`. The parts are scalars, unweighted means over images: the reconstruction
    /// and, in nats, the KL or its three terms. A standard deviation σ that changes is a further metric, except with the
    /// three terms, which fill what [`tensor::GradientMonitor`] watches.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn terms(
        &self,
        logits: &Var,
        x: &Tensor,
        [z, mu, logvar]: [&Var; 3],
        schedule: ScheduleContext,
        ctx: &ForwardContext,
    ) -> Terms {
        let (reconstruction, sigma) = self.likelihood.reconstruction(logits, x, ctx);
        let reconstruction = ("reconstruction", self.reconstruction, reconstruction);
        let per_dim = nn::loss::gaussian_kl_per_dim(mu, logvar);
        let kl = per_dim.sum(&[1], false).mean_all();
        let factor = self.schedule.factor(schedule.epochs);
        if let Some(([alpha, gamma], estimator)) = self.parts {
            let LatentTerms { mi, tc, dw_kl } = latent_terms(z, mu, logvar, estimator, schedule.images);
            let [mi, tc] = [("mi", factor * alpha, mi), ("tc", factor * self.kl, tc)];
            return Terms::weighted([reconstruction, mi, tc, ("dw_kl", factor * gamma, dw_kl)]).with_metric("kl", kl);
        }
        let terms = match self.schedule.penalty(&per_dim, schedule.epochs) {
            Some(penalty) => Terms::weighted([reconstruction, ("kl_penalty", self.kl, penalty)]).with_metric("kl", kl),
            None => Terms::weighted([reconstruction, ("kl", factor * self.kl, kl)]),
        };
        terms.with_some_metric("sigma", sigma)
    }

    /// Returns the weight of the KL at this time.
    pub fn kl_weight(&self, schedule: ScheduleContext) -> f64 {
        self.schedule.factor(schedule.epochs) * self.kl
    }

    /// Returns the reconstruction term of a batch, a scalar: summed over pixels, averaged over images, unweighted (see
    /// `likelihood`). With a standard deviation σ that changes, returns σ too, a scalar. `logits` is the decoder's output
    /// before the activation.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn reconstruction_term(&self, logits: &Var, x: &Tensor, ctx: &ForwardContext) -> (Var, Option<Var>) {
        self.likelihood.reconstruction(logits, x, ctx)
    }

    /// Returns ln p(x|z) in nats for S draws of z for each of B images, with all constants, `[B, S]`. `logits` is the
    /// decoder's output before the activation, `[B·S, channels, size, size]`, with the S draws of an image after each other.
    /// `x` is `[B, channels, size, size]`.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn log_density(&self, logits: &Var, x: &Tensor) -> Var {
        self.likelihood.log_density(logits, x)
    }
}

impl Module for Objective {
    fn visit(&self, v: &mut Visitor) {
        self.likelihood.visit(v);
        self.factor.visit(v);
    }
}

impl Output {
    /// Applies the output activation to the decoder's output.
    pub fn apply(self, logits: &Var) -> Var {
        match self {
            Output::Linear => logits.clone(),
            Output::Sigmoid => logits.sigmoid(),
            Output::Tanh => logits.tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KlScheduleKind, Reconstruction};

    const AT_END: ScheduleContext = ScheduleContext { epochs: END, images: 100 };

    fn config(beta: f64, reduction: Reduction) -> Config {
        let mut config = Config::default();
        (config.loss.beta, config.loss.reduction) = (beta, reduction);
        (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(3), Some(64), 512);
        config
    }

    #[test]
    fn effective_beta_is_beta_for_sums_and_grows_by_pixels_over_latents_for_means() {
        assert_eq!(config(4.0, Reduction::Sum).effective_beta(), 4.0);
        assert!((config(0.01, Reduction::Mean).effective_beta() - 0.24).abs() < 1e-12); // 0.01·12288/512
        assert_eq!(config(0.0, Reduction::Mean).effective_beta(), 0.0);
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
            let terms = objective.terms(&logits, &x, [&mu, &mu, &logvar], AT_END, &ForwardContext::eval());
            assert_eq!(terms.part("reconstruction").unwrap().value().data(), [1.5]);
            assert_eq!(terms.part("kl").unwrap().value().data(), [0.5]);
            let expected = match reduction {
                Reduction::Sum => 1.5 + 3.0 * 0.5,
                Reduction::Mean => 1.5 / 4.0 + 3.0 * 0.5 / 2.0,
            };
            assert_eq!(terms.total.value().data(), [expected as f32]);
            assert_eq!(terms.term_weights().losses(&[1.5, 0.5]).total, expected);
        }
    }

    #[test]
    fn two_weights_are_an_effective_beta_and_a_scale() {
        let weighted = |k1, k2, reduction| {
            let mut config = config(7.0, reduction);
            (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
            (config.effective_beta(), Objective::new(&config))
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
    fn weights_of_zero_do_not_give_nan() {
        for (k1, k2) in [(0.0, 1.0), (1.0, 0.0)] {
            let mut config = Config::default();
            (config.loss.kind, config.loss.k1, config.loss.k2) = (LossKind::Weighted, k1, k2);
            let leaf = |numbers: &[f32]| Var::leaf(Tensor::new(numbers, [1, 2]));
            let (mu, logvar) = (leaf(&[3.0, -40.0]), leaf(&[20.0, -30.0]));
            let logits = Var::leaf(Tensor::new(&[1e6, -1e6], [1, 1, 1, 2]));
            let (x, latents, eval) = (Tensor::zeros([1, 1, 1, 2]), [&mu, &mu, &logvar], ForwardContext::eval());
            let terms = Objective::new(&config).terms(&logits, &x, latents, AT_END, &eval);
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
        let reconstruction = |config: &Config| {
            Objective::new(config).reconstruction_term(&logits, &x, &ForwardContext::eval()).0.value().data()[0]
        };
        let sse = reconstruction(&config);
        assert_eq!(sse, 0.25); // (1 − σ(0))²
        config.loss.reconstruction = Reconstruction::Bce;
        let bce = reconstruction(&config);
        assert!((bce - std::f32::consts::LN_2).abs() < 1e-6); // −ln σ(0)
    }

    /// Returns the total and the parts for four images with these settings at this time.
    fn four(set: impl Fn(&mut Config), epochs: f64) -> Vec<f64> {
        let mut config = config(1.0, Reduction::Sum);
        (config.data.channels, config.data.image_size, config.model.z_dim) = (Some(1), Some(2), 3);
        set(&mut config);
        let mut rng = tensor::Generator::new(4);
        let [x, logits] = [0, 1].map(|_| rng.normal_tensor([4, 1, 2, 2]));
        let [mu, logvar] = [0, 1].map(|_| Var::constant(rng.normal_tensor([4, 3])));
        let z = mu.reparameterise(&logvar, &rng.normal_tensor([4, 3]));
        let schedule = ScheduleContext { epochs, images: 100 };
        let (logits, eval) = (Var::constant(logits), ForwardContext::eval());
        let terms = Objective::new(&config).terms(&logits, &x, [&z, &mu, &logvar], schedule, &eval);
        terms.watched().iter().map(|number| f64::from(number.data()[0])).collect()
    }

    #[test]
    fn the_three_terms_with_equal_weights_are_the_elbo_for_the_same_noise() {
        let bound = {
            let mut rng = tensor::Generator::new(4);
            let [x, logits] = [0, 1].map(|_| rng.normal_tensor([4, 1, 2, 2]));
            let [mu, logvar, eps] = [0, 1, 2].map(|_| rng.normal_tensor([4, 3]));
            let sse: f64 = x.data().iter().zip(logits.data()).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            let each = mu.data().iter().zip(logvar.data()).zip(eps.data());
            let ratio = each.map(|((&mu, &logvar), &eps)| {
                let (mu, logvar, eps) = (f64::from(mu), f64::from(logvar), f64::from(eps));
                0.5 * ((mu + (logvar / 2.0).exp() * eps).powi(2) - eps.powi(2) - logvar) // log q(z|x) − log p(z)
            });
            (sse + ratio.sum::<f64>()) / 4.0
        };
        for estimator in [Estimator::Batch, Estimator::Mws, Estimator::Mss, Estimator::Unnormalised] {
            let values = four(|config| (config.loss.kind, config.loss.estimator) = (LossKind::Tc, estimator), END);
            assert_eq!(values.len(), 6, "total, reconstruction, mi, tc, dw_kl, kl");
            assert!((values[0] - bound).abs() < 1e-4, "{estimator}: {} for {bound}", values[0]);
        }
    }

    #[test]
    fn each_of_the_three_terms_has_its_own_weight() {
        let set = |config: &mut Config| {
            config.loss.kind = LossKind::Tc;
            (config.loss.alpha, config.loss.beta, config.loss.gamma) = (2.0, 6.0, 0.5);
        };
        let values = four(set, END);
        let total = values[1] + 2.0 * values[2] + 6.0 * values[3] + 0.5 * values[4];
        assert!((values[0] - total).abs() < 1e-5, "{values:?}");
        let mut config = Config::default();
        set(&mut config);
        assert_eq!(config.effective_beta(), 6.0);
        let mean = four(|config| (set(config), config.loss.reduction = Reduction::Mean).0, END);
        let total = values[1] / 4.0 + (2.0 * values[2] + 6.0 * values[3] + 0.5 * values[4]) / 3.0;
        assert!((mean[0] - total).abs() < 1e-5, "{mean:?}");
    }

    #[test]
    fn a_schedule_changes_the_total_but_no_part() {
        let plain = four(|config| config.loss.beta = 3.0, 0.5);
        let [reconstruction, kl] = [plain[1], plain[2]];
        let scheduled = |schedule, epochs| {
            four(
                |config| {
                    (config.loss.schedule, config.loss.warmup, config.train.epochs) = (schedule, 2.0, 8);
                    (config.loss.beta, config.loss.gamma, config.loss.capacity) = (3.0, 10.0, 0.25);
                },
                epochs,
            )
        };
        for (schedule, epochs, total) in [
            (KlScheduleKind::Linear, 0.5, reconstruction + 0.25 * 3.0 * kl),
            (KlScheduleKind::Linear, END, reconstruction + 3.0 * kl),
            (KlScheduleKind::Cyclical, 3.0, reconstruction + 3.0 * kl), // cycles of two epochs
            (KlScheduleKind::Cyclical, 4.25, reconstruction + 0.25 * 3.0 * kl),
            (KlScheduleKind::Capacity, 1.0, reconstruction + 10.0 * (kl - 0.125)),
            (KlScheduleKind::Capacity, END, reconstruction + 10.0 * (kl - 0.25)),
        ] {
            let values = scheduled(schedule, epochs);
            assert!((values[0] - total).abs() < 1e-4, "{schedule} at {epochs}: {} for {total}", values[0]);
            assert_eq!((values[1], *values.last().unwrap()), (reconstruction, kl), "{schedule}");
        }
        let tc = |epochs| {
            four(|config| (config.loss.kind, config.loss.schedule) = (LossKind::Tc, KlScheduleKind::Linear), epochs)
        };
        let (start, end) = (tc(0.0), tc(END));
        assert_eq!((start[0], &start[1..]), (reconstruction, &end[1..]));
    }
}
