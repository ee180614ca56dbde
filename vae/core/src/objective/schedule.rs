//! Schedules of the KL term. t is the number of epochs since the start, with fractions for steps; T is `loss.warmup`, E
//! is `train.epochs`, w the weight of the KL.
//!
//! ```text
//! constant    w·KL
//! linear      min(1, t/T)·w·KL                                             Bowman et al., 1511.06349
//! cyclical    min(1, 2·τ)·w·KL,   τ the fractional part of t·cycles/E      Fu et al., 1903.10145
//! free-bits   w·Σ_d max(λ, KL_d), KL_d the mean over the batch             Kingma et al., 1606.04934
//!             with groups of latents, KL_d is the KL of a group            Sønderby et al., 1602.02282
//! capacity    γ·|KL − C(t)|,   C(t) = C·min(1, t/T)                        Burgess et al., 1804.03599
//! ```
//!
//! Validation uses the values for t → ∞, so that the losses of all epochs are comparable: `linear` and `cyclical`
//! multiply by 1, and C(t) is C.

use autograd::Var;

use crate::config::{Config, KlScheduleKind};

/// The time after the end of every schedule.
pub const END: f64 = f64::INFINITY;

/// A schedule of the KL term: see [`KlScheduleKind`].
#[derive(Clone, Debug)]
pub struct KlSchedule {
    kind: KlScheduleKind,
    warmup: f64,
    /// The number of epochs in one cycle.
    cycle: f64,
    free_bits: f64,
    /// The number of latents in each group that `free_bits` counts together.
    groups: Vec<usize>,
    capacity: f64,
}

impl KlSchedule {
    /// Creates the schedule of a configuration.
    pub fn new(config: &Config) -> KlSchedule {
        let loss = &config.loss;
        KlSchedule {
            kind: loss.schedule,
            warmup: loss.warmup,
            cycle: config.train.epochs as f64 / loss.cycles as f64,
            free_bits: loss.free_bits,
            groups: match config.is_hierarchical() {
                true => config.latent_groups().iter().map(|shape| shape.iter().product()).collect(),
                false => vec![1; config.model.z_dim],
            },
            capacity: loss.capacity,
        }
    }

    /// Returns the factor of the KL's weight, `t` epochs after the start.
    pub fn factor(&self, t: f64) -> f64 {
        match self.kind {
            KlScheduleKind::Linear => (t / self.warmup).min(1.0),
            KlScheduleKind::Cyclical if t.is_finite() => (2.0 * (t / self.cycle).fract()).min(1.0),
            _ => 1.0,
        }
    }

    /// Returns the scalar that replaces the KL in the loss, or `None` if the KL itself is used. `per_dim` is the KL of
    /// each latent of each image, `[batch, latents]`.
    pub fn penalty(&self, per_dim: &Var, t: f64) -> Option<Var> {
        match self.kind {
            KlScheduleKind::Constant | KlScheduleKind::Linear | KlScheduleKind::Cyclical => None,
            // A latent whose KL is below `free_bits` has no gradient, because the maximum is constant there.
            KlScheduleKind::FreeBits => {
                let means = self.group_sums(&per_dim.mean(&[0], false));
                Some(means.clamp(self.free_bits as f32, f32::MAX).sum_all())
            }
            KlScheduleKind::Capacity => {
                Some(per_dim.sum(&[1], false).mean_all().add_scalar(-self.capacity_at(t) as f32).abs())
            }
        }
    }

    /// Returns the sums over the groups of `[latents]` numbers.
    fn group_sums(&self, x: &Var) -> Var {
        if self.groups.iter().all(|&size| size == 1) {
            return x.clone();
        }
        let mut first = 0;
        let sums = self.groups.iter().map(|&size| {
            first += size;
            x.slice(0, first - size, size).sum(&[0], true)
        });
        Var::concat(&sums.collect::<Vec<_>>().iter().collect::<Vec<_>>(), 0)
    }

    /// Returns C(t) in nats.
    pub fn capacity_at(&self, t: f64) -> f64 {
        self.capacity * (t / self.warmup).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use tensor::Tensor;

    use super::*;

    fn schedule(kind: KlScheduleKind) -> KlSchedule {
        let mut config = Config::default();
        (config.loss.schedule, config.loss.warmup, config.loss.cycles, config.train.epochs) = (kind, 4.0, 5, 10);
        (config.loss.free_bits, config.loss.capacity, config.model.z_dim) = (0.5, 8.0, 2);
        KlSchedule::new(&config)
    }

    #[test]
    fn factors_follow_their_formulas() {
        for (kind, times, factors) in [
            (KlScheduleKind::Constant, [0.0, 1.0, 9.5, END], [1.0; 4]),
            (KlScheduleKind::FreeBits, [0.0, 1.0, 9.5, END], [1.0; 4]),
            (KlScheduleKind::Linear, [0.0, 1.0, 4.0, 9.0], [0.0, 0.25, 1.0, 1.0]),
            (KlScheduleKind::Cyclical, [0.0, 0.5, 1.0, 1.5], [0.0, 0.5, 1.0, 1.0]), // cycles of two epochs
            (KlScheduleKind::Cyclical, [2.0, 2.25, 8.5, END], [0.0, 0.25, 0.5, 1.0]),
            (KlScheduleKind::Linear, [2.0, 3.0, 3.5, END], [0.5, 0.75, 0.875, 1.0]),
        ] {
            assert_eq!(times.map(|t| schedule(kind).factor(t)), factors, "{kind}");
        }
        let capacity = schedule(KlScheduleKind::Capacity);
        assert_eq!([0.0, 1.0, 4.0, 9.0, END].map(|t| capacity.capacity_at(t)), [0.0, 2.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn a_latent_below_free_bits_costs_free_bits_and_has_no_gradient() {
        // The means over the batch are 0.25 for the first latent, below `free_bits`, and 2 for the second.
        let per_dim = Var::leaf(Tensor::new(&[0.5, 1.0, 0.0, 3.0], [2, 2]));
        let penalty = schedule(KlScheduleKind::FreeBits).penalty(&per_dim, 0.0).unwrap();
        assert_eq!(penalty.value().data(), [2.5]);
        assert_eq!(penalty.backward().of(&per_dim).unwrap().data(), [0.0, 0.5, 0.0, 0.5]);
    }

    #[test]
    fn a_group_below_free_bits_costs_free_bits() {
        let mut schedule = schedule(KlScheduleKind::FreeBits);
        schedule.groups = vec![2, 1, 2];
        let per_dim = Var::leaf(Tensor::new(&[0.3, 0.4, 0.2, 0.0, 0.1], [1, 5])); // sums 0.7, 0.2 and 0.1
        let penalty = schedule.penalty(&per_dim, 0.0).unwrap();
        assert!((penalty.value().data()[0] - 1.7).abs() < 1e-6);
        assert_eq!(penalty.backward().of(&per_dim).unwrap().data(), [1.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn capacity_penalises_a_kl_above_and_below_it() {
        let per_dim = Var::leaf(Tensor::new(&[1.0, 1.0, 2.0, 2.0], [2, 2])); // a KL of 3
        for (t, value, slope) in [(0.0, 3.0, 0.5), (1.0, 1.0, 0.5), (2.0, 1.0, -0.5), (END, 5.0, -0.5)] {
            let penalty = schedule(KlScheduleKind::Capacity).penalty(&per_dim, t).unwrap();
            assert_eq!(penalty.value().data(), [value], "{t}");
            assert_eq!(penalty.backward().of(&per_dim).unwrap().data(), [slope; 4], "{t}");
        }
    }
}
