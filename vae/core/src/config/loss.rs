//! The objective: the keys of `[loss]`. Each kind of loss reads some of them. All read `reconstruction`, `reduction` and
//! `schedule`; `check` refuses combinations that make no sense.
//!
//! ```text
//! beta       beta            (with the schedule capacity: gamma in its place)
//! weighted   k1 k2
//! tc         alpha beta gamma estimator            (commitment is that of model.kind = "vq")
//! iwae       samples bounds gradient
//! dip        beta dip lambda_od lambda_d
//! mmd        alpha lambda
//! factor     beta gamma discriminator_width discriminator_layers discriminator_rate
//! csvae      beta gamma subspace discriminator_width discriminator_layers discriminator_rate
//! vae-gan    beta adversarial discriminator_channels feature_layer spectral_norm discriminator_rate
//! soft-intro beta beta_neg
//!
//! gaussian   variance sigma                         (a kind of reconstruction)
//!
//! linear     warmup          cyclical    cycles
//! free-bits  free_bits       capacity    capacity warmup
//! ```

use serde::{Deserialize, Serialize};

use super::check::rule;
use super::keys::keys;
use super::{Config, named};
use crate::error::Result;

keys! {
    /// The objective that training minimises.
    Loss {
        /// The form of the objective.
        kind: LossKind = LossKind::Beta;
        /// The reconstruction term, for an image x and its reconstruction x̂.
        reconstruction: Reconstruction = Reconstruction::Sse;
        /// Where the variance σ² of `gaussian` comes from. All pixels share it.
        variance: Variance = Variance::Optimal;
        /// The standard deviation σ of `gaussian`, of pixels as the model sees them. With `variance = "fixed"` it stays the same,
        /// with `learned` it is the start.
        sigma: f64 = 1.0, at_least(0.0025);
        /// Whether the terms are summed or averaged over pixels and over latents. Over images there is always a mean.
        reduction: Reduction = Reduction::Sum;
        /// The weight β of the KL term, and of the total correlation in `tc`. `weighted`, `iwae` and `mmd` do not use it.
        /// With 0 the model is an autoencoder; with 1 the loss of `beta` is the negative evidence lower bound (ELBO).
        beta: f64 = 1.0, at_least(0.0);
        /// The weight of the reconstruction term of `weighted`.
        k1: f64 = 0.5, at_least(0.0);
        /// The weight of the KL term of `weighted`.
        k2: f64 = 0.5, at_least(0.0);
        /// The weight of the commitment term of `model.kind = "vq"`.
        commitment: f64 = 0.25, at_least(0.0);
        /// The weight α of the mutual information between image and latents in `tc`. In `mmd`, the KL has the weight 1 − α: 1 gives
        /// the Wasserstein autoencoder, 0 the ELBO with a further penalty.
        alpha: f64 = 1.0, at_least(0.0);
        /// The weight γ of the dimension-wise KL in `tc`, of TC in `factor`, of I in `csvae`, and of |KL − C| in `capacity`.
        gamma: f64 = 1.0, at_least(0.0);
        /// The covariance that `dip` penalises.
        dip: Dip = Dip::II;
        /// The weight λ_od of the squared covariances of two latents, in `dip`.
        lambda_od: f64 = 10.0, at_least(0.0);
        /// The weight λ_d of the squared differences between the variances of the latents and 1, in `dip`. The paper takes that of
        /// `lambda_od` for `dip = "ii"` and ten times as much for `"i"`.
        lambda_d: f64 = 10.0, at_least(0.0);
        /// The weight λ of the distance between q(z) and the prior, in `mmd`. The MMD has the weight α + λ − 1.
        lambda: f64 = 10.0, at_least(0.0);
        /// The number of latents of `csvae`, the last of `model.z_dim`, whose prior depends on the label.
        subspace: usize = 2, at_least(1.0);
        /// The number of features of each hidden layer of the discriminator of `factor` and `csvae`. The paper of the first has 1000.
        discriminator_width: usize = 256, at_least(1.0).at_most(4096.0);
        /// The number of hidden layers of the discriminator of `factor` and `csvae`.
        discriminator_layers: usize = 6, at_least(1.0).at_most(32.0);
        /// Adam's learning rate for the discriminator of `factor`, `csvae` and `vae-gan`, which follows `train.schedule`. Its decay rates are
        /// 0.5 and 0.9.
        discriminator_rate: f64 = 1e-4, above(0.0);
        /// The weight of the decoder's loss against the discriminator of `vae-gan`. The paper weighs the features by γ instead, which
        /// is the same as 1/γ here.
        adversarial: f64 = 1.0, at_least(0.0);
        /// The channels of each convolution of the discriminator of `vae-gan`, such as `[32, 64]`; on the command line `32,64`. Each
        /// halves the image, so its side must be 2 to the power of their number or larger.
        discriminator_channels: Vec<usize> = vec![32, 64, 128], at_least(1.0);
        /// The convolution of the discriminator, counted from 1, whose features `vae-gan` compares.
        feature_layer: usize = 1, at_least(1.0);
        /// Whether the layers of the discriminator of `vae-gan` divide their weight by its largest singular value.
        spectral_norm: bool = true;
        /// The weight β_neg of the KL of decoded draws from the prior, in the encoder's part of `soft-intro`. It is of the size of the
        /// number of latents or larger.
        beta_neg: f64 = 256.0, at_least(0.0);
        /// How `tc` estimates the density q(z) from a batch of B of the N training images. Each word is the weight of each of the
        /// batch's posteriors.
        estimator: Estimator = Estimator::Batch;
        /// The number K of draws in each importance weighted bound of `iwae`. 1 gives the ELBO.
        samples: usize = 1, at_least(1.0).at_most(10_000.0);
        /// The number M of bounds of `samples` draws each that `iwae` averages for an image.
        bounds: usize = 1, at_least(1.0).at_most(10_000.0);
        /// The estimator of the gradient of `iwae`.
        gradient: GradientEstimator = GradientEstimator::Plain;
        /// The schedule of the weight of the KL term. It changes with every step. Validation uses the weight at the end.
        schedule: KlScheduleKind = KlScheduleKind::Constant;
        /// The number of epochs T over which `linear` and `capacity` rise. It may be a fraction, and must not exceed
        /// `train.epochs`.
        warmup: f64 = 1.0, above(0.0);
        /// The number of equal cycles that `cyclical` divides the training into.
        cycles: usize = 4, at_least(1.0).at_most(1000.0);
        /// The KL in nats below which `free-bits` does not push a latent. A nat is log₂ e ≈ 1.44 bits.
        free_bits: f64 = 0.25, at_least(0.0);
        /// The KL in nats that `capacity` rises to.
        capacity: f64 = 25.0, at_least(0.0);
    }
}

named! {
    /// An objective.
    LossKind {
        /// The β-VAE: reconstruction + β·KL.
        Beta = "beta",
        /// k1·reconstruction + k2·KL.
        Weighted = "weighted",
        /// The β-TC-VAE, which splits the KL into three terms: reconstruction + α·MI + β·TC + γ·DW-KL. MI is the mutual
        /// information of image and latents, TC the total correlation of the latents, DW-KL the KL of each dimension.
        Tc = "tc",
        /// The importance weighted bound of the IWAE, −ln 1/K Σ_k p(x|z_k)·p(z_k)/q(z_k|x) with K = `samples`. The mean of
        /// several is the MIWAE.
        Iwae = "iwae",
        /// The DIP-VAE, which draws the covariance C of the latents to the identity: reconstruction + β·KL + λ_od·Σ_{i≠j} C_ij² +
        /// λ_d·Σ_i (C_ii − 1)².
        Dip = "dip",
        /// The InfoVAE: reconstruction + (1 − α)·KL + (α + λ − 1)·MMD. The MMD is the maximum mean discrepancy between q(z), the
        /// latents of all images, and the prior. α = 1 gives the Wasserstein autoencoder (WAE-MMD).
        Mmd = "mmd",
        /// The FactorVAE: reconstruction + β·KL + γ·TC. A discriminator, which is trained at the same time, estimates the total
        /// correlation TC of the latents.
        Factor = "factor",
        /// The conditional subspace VAE: reconstruction + β·KL + γ·I. The last `subspace` latents have a Gaussian prior for each label. I is
        /// what a discriminator, which is trained at the same time, reads about the label in the other latents.
        Csvae = "csvae",
        /// The VAE-GAN: squared differences of the features of a discriminator instead of pixels, β·KL, and for the decoder the loss
        /// of a generator of images that the discriminator takes for real.
        VaeGan = "vae-gan",
        /// The Soft-IntroVAE: reconstruction + β·KL. The encoder also lowers the evidence bound of decoded draws from the prior, softly by
        /// its exponential, and the decoder raises it.
        SoftIntro = "soft-intro",
    }
}
named! {
    /// A reconstruction term, for an image x and its reconstruction x̂.
    Reconstruction {
        /// The squared error, Σ (x − x̂)².
        Sse = "sse",
        /// Half of the squared error, ½ Σ (x − x̂)².
        HalfSse = "half-sse",
        /// The binary cross-entropy of pixels in [0, 1], −Σ (x ln x̂ + (1 − x) ln(1 − x̂)).
        Bce = "bce",
        /// The negative log-likelihood of a Gaussian in nats, Σ ½ (x − x̂)²/σ² + ln σ + ½ ln 2π. `loss.variance` says what σ² is.
        Gaussian = "gaussian",
    }
}
named! {
    /// The variance σ² of a Gaussian likelihood, which all pixels share.
    Variance {
        /// The square of `loss.sigma`.
        Fixed = "fixed",
        /// A parameter of the model.
        Learned = "learned",
        /// The best for each batch, its mean squared error. Images that are not trained on get the running mean.
        Optimal = "optimal",
    }
}
named! {
    /// How the terms of pixels and of latents are combined.
    Reduction {
        /// The sum.
        Sum = "sum",
        /// The mean.
        Mean = "mean",
    }
}
named! {
    /// How q(z) is estimated from a batch of B of N images: the weight of each of the batch's posteriors.
    Estimator {
        /// 1/B.
        Batch = "batch",
        /// 1/(N·B): minibatch weighted sampling.
        Mws = "mws",
        /// Minibatch stratified sampling, with M = B − 1: 1/N for the image's own posterior, (N − M)/(N·M) for the next, 1/M for
        /// the others.
        Mss = "mss",
        /// 1.
        Unnormalised = "unnormalised",
    }
}
named! {
    /// The covariance that a DIP-VAE draws to the identity.
    Dip {
        /// DIP-VAE-I: that of the means mu.
        I = "i",
        /// DIP-VAE-II: that of the latents, which is that of mu plus the mean of σ².
        II = "ii",
    }
}
named! {
    /// An estimator of the gradient of an importance weighted bound.
    GradientEstimator {
        /// That of differentiation. For the encoder, its noise grows with `samples` beside its signal.
        Plain = "plain",
        /// The doubly reparameterised one. It has the same expectation and less noise.
        Dreg = "dreg",
    }
}
named! {
    /// A schedule of the weight of the KL term.
    KlScheduleKind {
        /// The weight stays the same.
        Constant = "constant",
        /// The weight rises from 0 over `warmup` epochs: it is multiplied by min(1, t/T) after t epochs.
        Linear = "linear",
        /// The weight rises from 0 in each of `cycles` cycles: it is multiplied by min(1, 2τ), τ being the fraction of the cycle
        /// that has passed.
        Cyclical = "cyclical",
        /// The KL of a latent counts as `free_bits` at least: Σ_d max(λ, KL_d) instead of the KL. KL_d is a mean over the batch. In
        /// `ladder`, it is the KL of a group.
        FreeBits = "free-bits",
        /// The KL is drawn to a value that rises: γ·|KL − C(t)| instead of β·KL, with C(t) = `capacity`·min(1, t/T).
        Capacity = "capacity",
    }
}

impl Config {
    /// Checks the schedule of the KL term.
    pub(super) fn check_kl_schedule(&self) -> Result<()> {
        let Loss { kind, schedule, warmup, cycles, free_bits, capacity, .. } = self.loss;
        rule(warmup.is_finite() && warmup > 0.0, || {
            format!("loss.warmup = {warmup}: it is a number of epochs and must be above 0, such as 1")
        })?;
        rule((1..=1000).contains(&cycles), || format!("loss.cycles = {cycles}: it must be 1 to 1000"))?;
        for (key, nats) in [("free_bits", free_bits), ("capacity", capacity)] {
            rule(nats.is_finite() && nats >= 0.0, || {
                format!("loss.{key} = {nats}: it is a number of nats and must be 0 or more")
            })?;
        }
        let (fits, kinds) = match schedule {
            KlScheduleKind::Constant => (true, ""),
            _ if kind == LossKind::Iwae => (false, "\"beta\""), // its bound has no KL
            KlScheduleKind::FreeBits => {
                (matches!(kind, LossKind::Beta | LossKind::Weighted), "\"beta\" or \"weighted\"")
            }
            KlScheduleKind::Capacity => (kind == LossKind::Beta, "\"beta\""),
            KlScheduleKind::Linear | KlScheduleKind::Cyclical => (true, ""),
        };
        rule(fits, || {
            format!(
                "loss.schedule = \"{schedule}\" works with loss.kind = {kinds}, not \"{kind}\"; change one of the two"
            )
        })?;
        let epochs = self.train.epochs;
        let rises = matches!(schedule, KlScheduleKind::Linear | KlScheduleKind::Capacity);
        rule(!rises || warmup <= epochs as f64, || {
            format!(
                "loss.warmup = {warmup}: the run ends after {epochs} epochs, before \"{schedule}\" reaches its end; lower it"
            )
        })
    }
}

impl Config {
    /// Checks the keys of importance weighted bounds.
    pub(super) fn check_bounds(&self) -> Result<()> {
        let Loss { kind, samples, bounds, beta, reduction, reconstruction, variance, .. } = self.loss;
        for (key, count) in [("samples", samples), ("bounds", bounds)] {
            rule((1..=10_000).contains(&count), || format!("loss.{key} = {count}: it must be 1 to 10000"))?;
        }
        if kind != LossKind::Iwae {
            return Ok(());
        }
        rule(beta == 1.0, || {
            format!("loss.beta = {beta}: the bound of loss.kind = \"iwae\" has no KL to weigh; leave it at 1")
        })?;
        rule(reduction == Reduction::Sum, || {
            "loss.reduction = \"mean\": loss.kind = \"iwae\" is a bound on ln p(x), which is a sum; set \"sum\"".into()
        })?;
        rule(reconstruction != Reconstruction::Gaussian || variance != Variance::Optimal, || {
            "loss.variance = \"optimal\": the optimum for loss.kind = \"iwae\" depends on the weights of the draws; \
             set \"learned\" or \"fixed\""
                .into()
        })
    }

    /// Checks the keys of the variance.
    pub(super) fn check_variance(&self) -> Result<()> {
        let Loss { reconstruction, variance, sigma, .. } = self.loss;
        rule(sigma.is_finite() && sigma >= 0.0025, || {
            format!("loss.sigma = {sigma}: it must be 0.0025 or more; 1/255 is the step between two byte values")
        })?;
        let gaussian = reconstruction == Reconstruction::Gaussian;
        rule(gaussian || variance == Variance::Optimal, || {
            format!(
                "loss.variance = \"{variance}\": only loss.reconstruction = \"gaussian\" has a variance, not \"{reconstruction}\"; \
                 change one of the two"
            )
        })?;
        rule(sigma == 1.0 || gaussian && variance != Variance::Optimal, || {
            format!(
                "loss.sigma = {sigma}: only loss.reconstruction = \"gaussian\" with loss.variance = \"fixed\" or \"learned\" uses it; \
                 leave it out"
            )
        })
    }
}

impl Loss {
    /// Returns a description of the reconstruction term.
    pub(super) fn reconstruction_words(&self) -> String {
        match (self.reconstruction, self.variance) {
            (Reconstruction::Gaussian, Variance::Fixed) => format!("gaussian of σ = {}", self.sigma),
            (Reconstruction::Gaussian, variance) => format!("gaussian of {variance} σ"),
            (other, _) => other.to_string(),
        }
    }

    /// Returns a description of the schedule, with a leading semicolon. It is empty for a constant weight.
    pub(super) fn schedule_words(&self, epochs: usize) -> String {
        let Loss { warmup, cycles, free_bits, capacity, .. } = self;
        let first = if *warmup == 1.0 { "the first epoch".into() } else { format!("the first {warmup} epochs") };
        let words = match self.schedule {
            KlScheduleKind::Constant => return String::new(),
            KlScheduleKind::FreeBits => return format!("; the KL of each latent counts as at least {free_bits} nats"),
            KlScheduleKind::Linear => format!("the KL's weight rises from 0 over {first}"),
            KlScheduleKind::Cyclical => format!(
                "the KL's weight rises from 0 over the first half of each of {cycles} cycles of {} epochs",
                epochs as f64 / *cycles as f64
            ),
            KlScheduleKind::Capacity => format!("C rises from 0 to {capacity} nats over {first}"),
        };
        format!("; {words}, and validation uses the final values")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_is_described() {
        for (schedule, words) in [
            (KlScheduleKind::Constant, ""),
            (KlScheduleKind::Linear, "the KL's weight rises from 0 over the first 2.5 epochs, and validation"),
            (KlScheduleKind::Cyclical, "over the first half of each of 4 cycles of 2.5 epochs, and validation"),
            (KlScheduleKind::FreeBits, "the KL of each latent counts as at least 0.25 nats"),
            (KlScheduleKind::Capacity, "C rises from 0 to 25 nats over the first 2.5 epochs, and validation"),
        ] {
            let loss = Loss { schedule, warmup: 2.5, ..Loss::default() };
            let text = loss.schedule_words(10);
            assert!(text.contains(words) && text.is_empty() == words.is_empty(), "{text}");
        }
    }
}
