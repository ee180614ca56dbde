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
//! csvae:    reconstruction + β·KL + γ·I(label; other latents)                     priors by label, see `subspace`
//! vae-gan, soft-intro: two players, see `adversarial`
//! ```
//!
//! With `loss.reduction = "mean"` the reconstruction is averaged over the D = C·S² pixel values and the KL over the z
//! latents, so the weights are k1/D and k2/z.
//!
//! The *effective* β is the weight of the summed KL divided by the weight of the summed reconstruction: k2/k1 for sums
//! and k2/k1·D/z for means. There k1 = 1, except for `weighted`, and k2 = β for `beta`, `tc`, `dip`, `factor`, `csvae`,
//! `vae-gan` and `soft-intro`, 1 − α for `mmd`.
//! It is comparable between both reductions. It is infinite if k1 = 0.
//!
//! A [`KlSchedule`] may change the weight of the KL during training. The effective β uses the weight at the end.

pub mod adversarial;
mod dip;
mod exact;
mod factor;
mod importance;
mod latent_terms;
mod likelihood;
mod losses;
mod mmd;
mod schedule;
mod subspace;
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
use subspace::Subspace;

pub use exact::exact_latent_terms;
use importance::Importance;
pub use importance::{Draws, log_prior_ratio};
pub use latent_terms::{LatentTerms, latent_terms, log_weights};
pub use losses::{Losses, PART_UNITS, number, parse_number, part_label, part_name, part_unit};
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
    subspace: Option<Subspace>,
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
            subspace: Subspace::new(config),
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

    /// Returns whether the prior depends on the label, so that `loss` needs the one-hot vectors of labels.
    pub fn has_centres(&self) -> bool {
        self.subspace.is_some()
    }

    /// Returns the centre of the prior of images, `[B, z]`, for one-hot vectors of their labels `[B, labels]`, if it depends on the label.
    pub fn centre(&self, labels: &Tensor) -> Option<Var> {
        self.subspace.as_ref().map(|subspace| subspace.centre(labels))
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
    /// see [`Objective::terms`], to which `dip`, `mmd`, `factor` and `csvae` add their penalties.
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
            if let (Some(subspace), Some(labels)) = (&self.subspace, &draws.labels) {
                terms = subspace.add_to(terms, &draws.z, labels, ctx);
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

    /// Returns the reconstruction term of each image of a batch, `[B]`, without a mean. The shapes are those of
    /// [`reconstruction_term`](Objective::reconstruction_term).
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn reconstruction_per_image(&self, logits: &Var, x: &Tensor) -> Var {
        self.likelihood.errors(logits, x).reshape([x.shape()[0]])
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
        self.subspace.visit(v);
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
mod tests;
