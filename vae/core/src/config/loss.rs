//! What is minimised: the keys of `[loss]`. Each kind reads some of them; `reconstruction`, `reduction` and `schedule` are
//! everybody's, as far as `check` lets them.
//!
//! ```text
//! beta       beta            (with the schedule capacity: gamma in its place)
//! weighted   k1 k2
//! tc         alpha beta gamma estimator            (commitment is that of model.kind = "vq")
//!
//! linear     warmup          cyclical    cycles
//! free-bits  free_bits       capacity    capacity warmup
//! ```

use serde::{Deserialize, Serialize};

use super::check::rule;
use super::{Config, named};
use crate::error::Result;

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// The objective: `beta`, reconstruction + β·KL; `weighted`, k1·reconstruction + k2·KL; or `tc`, reconstruction + α·MI +
    /// β·TC + γ·DW-KL, the KL in three parts. Default `beta`.
    pub kind: LossKind,
    /// The reconstruction term: `sse` Σ(x−x̂)², `half-sse` ½Σ(x−x̂)², or `bce`, the cross-entropy of pixels in [0, 1].
    /// Default `sse`.
    pub reconstruction: Reconstruction,
    /// `sum` over pixels and latents, or `mean` over pixels and over latents; always mean over images. Default `sum`.
    pub reduction: Reduction,
    /// The weight of the KL term of `beta`: 0 is an autoencoder, 1 the evidence bound; and of the TC of `tc`. Default 1.
    pub beta: f64,
    /// The weight of the reconstruction term of `weighted`; 0 leaves only the KL. Default 0.5.
    pub k1: f64,
    /// The weight of the KL term of `weighted`; 0 is an autoencoder. Default 0.5.
    pub k2: f64,
    /// The weight of `vq`'s commitment term. Default 0.25.
    pub commitment: f64,
    /// The weight of the mutual information of image and latents, in `tc`. Default 1.
    pub alpha: f64,
    /// The weight of the dimension-wise KL, in `tc`; with the schedule `capacity`, that of |KL − C|. Default 1.
    pub gamma: f64,
    /// How `tc` estimates q(z) from a batch: `batch`, `mws` (minibatch weighted), `mss` (minibatch stratified) or
    /// `unnormalised`. Default `batch`.
    pub estimator: Estimator,
    /// How the KL's weight changes with training: `constant`; `linear`, rising over `warmup`; `cyclical`, `cycles` times
    /// rising over the first half of a cycle; `free-bits`, no less than `free_bits` a latent; or `capacity`, drawn to a
    /// value that rises to `capacity` over `warmup`. It moves with every step; validation counts as at the end. Default
    /// `constant`.
    pub schedule: KlScheduleKind,
    /// Epochs until `linear` and `capacity` have risen to their end, above 0, fractions allowed. Default 1.
    pub warmup: f64,
    /// How many equal cycles `cyclical` makes of `train.epochs`. Default 4.
    pub cycles: usize,
    /// Nats that `free-bits` leaves each latent for nothing. Default 0.25.
    pub free_bits: f64,
    /// Nats that `capacity` rises to. Default 25.
    pub capacity: f64,
}

named! {
    /// An objective.
    LossKind {
        /// Reconstruction + β·KL.
        Beta = "beta",
        /// k1·reconstruction + k2·KL.
        Weighted = "weighted",
        /// Reconstruction + α·MI + β·TC + γ·DW-KL.
        Tc = "tc",
    }
}
named! {
    /// A reconstruction term.
    Reconstruction {
        /// Σ (x − x̂)².
        Sse = "sse",
        /// ½ Σ (x − x̂)².
        HalfSse = "half-sse",
        /// −Σ (x ln x̂ + (1 − x) ln(1 − x̂)).
        Bce = "bce",
    }
}
named! {
    /// How pixels and latents are added up.
    Reduction {
        /// Sums.
        Sum = "sum",
        /// Means.
        Mean = "mean",
    }
}
named! {
    /// How q(z) is estimated from a batch of B of N images: the weight of each of its posteriors.
    Estimator {
        /// 1/B.
        Batch = "batch",
        /// 1/(N·B): minibatch weighted sampling.
        Mws = "mws",
        /// 1/N for an image's own, (N − M)/(N·M) for the next, 1/M for the others, M = B − 1: minibatch stratified
        /// sampling.
        Mss = "mss",
        /// 1.
        Unnormalised = "unnormalised",
    }
}
named! {
    /// How the weight of the KL changes.
    KlScheduleKind {
        /// It does not.
        Constant = "constant",
        /// The weight times min(1, t/T), t the epochs so far, T `warmup`.
        Linear = "linear",
        /// The weight times min(1, 2τ), τ the part of a cycle that has passed.
        Cyclical = "cyclical",
        /// Σ_d max(λ, KL_d) in place of the KL, KL_d a mean over the batch, λ `free_bits`.
        FreeBits = "free-bits",
        /// γ·|KL − C(t)| in place of β·KL, C(t) = `capacity`·min(1, t/T).
        Capacity = "capacity",
    }
}

impl Default for Loss {
    fn default() -> Loss {
        Loss {
            kind: LossKind::Beta,
            reconstruction: Reconstruction::Sse,
            reduction: Reduction::Sum,
            beta: 1.0,
            k1: 0.5,
            k2: 0.5,
            commitment: 0.25,
            alpha: 1.0,
            gamma: 1.0,
            estimator: Estimator::Batch,
            schedule: KlScheduleKind::Constant,
            warmup: 1.0,
            cycles: 4,
            free_bits: 0.25,
            capacity: 25.0,
        }
    }
}

impl Config {
    /// The rules of the KL's schedule.
    pub(super) fn check_kl_schedule(&self) -> Result<()> {
        let Loss { kind, schedule, warmup, cycles, free_bits, capacity, .. } = self.loss;
        rule(warmup.is_finite() && warmup > 0.0, || {
            format!("loss.warmup = {warmup}: it counts epochs, and must be a number above 0, such as 1")
        })?;
        rule((1..=1000).contains(&cycles), || format!("loss.cycles = {cycles}: there may be 1 to 1000"))?;
        for (key, nats) in [("free_bits", free_bits), ("capacity", capacity)] {
            rule(nats.is_finite() && nats >= 0.0, || format!("loss.{key} = {nats}: it counts nats, 0 or more"))?;
        }
        let (fits, kinds) = match schedule {
            KlScheduleKind::Constant | KlScheduleKind::Linear | KlScheduleKind::Cyclical => (true, ""),
            KlScheduleKind::FreeBits => (kind != LossKind::Tc, "\"beta\" or \"weighted\""),
            KlScheduleKind::Capacity => (kind == LossKind::Beta, "\"beta\""),
        };
        rule(fits, || {
            format!(
                "loss.schedule = \"{schedule}\" goes with loss.kind = {kinds}, not \"{kind}\": set another of the two"
            )
        })?;
        let epochs = self.train.epochs;
        let rises = matches!(schedule, KlScheduleKind::Linear | KlScheduleKind::Capacity);
        rule(!rises || warmup <= epochs as f64, || {
            format!(
                "loss.warmup = {warmup}: the run ends after {epochs} epochs, before \"{schedule}\" has risen; lower it"
            )
        })
    }
}

impl Loss {
    /// What the schedule does, after a semicolon; nothing where it does nothing.
    pub(super) fn schedule_words(&self, epochs: usize) -> String {
        let Loss { warmup, cycles, free_bits, capacity, .. } = self;
        let first = if *warmup == 1.0 { "the first epoch".into() } else { format!("the first {warmup} epochs") };
        let words = match self.schedule {
            KlScheduleKind::Constant => return String::new(),
            KlScheduleKind::FreeBits => return format!("; a latent's KL counts as {free_bits} nats at least"),
            KlScheduleKind::Linear => format!("the KL's weight rises from 0 over {first}"),
            KlScheduleKind::Cyclical => format!(
                "the KL's weight rises from 0 over the first half of each of {cycles} cycles of {} epochs",
                epochs as f64 / *cycles as f64
            ),
            KlScheduleKind::Capacity => format!("C rises from 0 to {capacity} nats over {first}"),
        };
        format!("; {words}, and validation weighs as at the end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_is_told_in_words() {
        for (schedule, words) in [
            (KlScheduleKind::Constant, ""),
            (KlScheduleKind::Linear, "the KL's weight rises from 0 over the first 2.5 epochs, and validation"),
            (KlScheduleKind::Cyclical, "over the first half of each of 4 cycles of 2.5 epochs, and validation"),
            (KlScheduleKind::FreeBits, "a latent's KL counts as 0.25 nats at least"),
            (KlScheduleKind::Capacity, "C rises from 0 to 25 nats over the first 2.5 epochs, and validation"),
        ] {
            let loss = Loss { schedule, warmup: 2.5, ..Loss::default() };
            let told = loss.schedule_words(10);
            assert!(told.contains(words) && told.is_empty() == words.is_empty(), "{told}");
        }
    }
}
