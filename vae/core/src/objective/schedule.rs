//! How the KL's part of the loss changes with training. t counts epochs, with the fraction that a step adds; T is
//! `loss.warmup`, E is `train.epochs`.
//!
//!   constant    w·KL
//!   linear      min(1, t/T)·w·KL                                             Bowman et al., 1511.06349
//!   cyclical    min(1, 2·τ)·w·KL,   τ the fraction of t·cycles/E             Fu et al., 1903.10145
//!   free-bits   w·Σ_d max(λ, KL_d), KL_d the mean over the batch             Kingma et al., 1606.04934
//!   capacity    γ·|KL − C(t)|,   C(t) = C·min(1, t/T)                        Burgess et al., 1804.03599
//!
//! At the end of time, by which validation judges every epoch alike, linear and cyclical weigh by 1 and C(t) is C.

use autograd::Var;

use crate::config::{Config, KlScheduleKind};

/// The end of time: every schedule is where it will stay.
pub const END: f64 = f64::INFINITY;

/// A schedule of the KL's part of the loss, with its numbers: see [`KlScheduleKind`].
#[derive(Clone, Copy, Debug)]
pub struct KlSchedule {
    kind: KlScheduleKind,
    warmup: f64,
    /// Epochs of one cycle.
    cycle: f64,
    free_bits: f64,
    capacity: f64,
}

impl KlSchedule {
    /// The schedule that a configuration asks for.
    pub fn new(config: &Config) -> KlSchedule {
        let loss = &config.loss;
        KlSchedule {
            kind: loss.schedule,
            warmup: loss.warmup,
            cycle: config.train.epochs as f64 / loss.cycles as f64,
            free_bits: loss.free_bits,
            capacity: loss.capacity,
        }
    }

    /// What the KL's weight is multiplied by, t epochs after the start.
    pub fn factor(&self, t: f64) -> f64 {
        match self.kind {
            KlScheduleKind::Linear => (t / self.warmup).min(1.0),
            KlScheduleKind::Cyclical if t.is_finite() => (2.0 * (t / self.cycle).fract()).min(1.0),
            _ => 1.0,
        }
    }

    /// What is weighed in place of the KL, a scalar, if something is: from `per_dim`, the KL of each latent of each image,
    /// `[batch, latents]`.
    pub fn penalty(&self, per_dim: &Var, t: f64) -> Option<Var> {
        match self.kind {
            KlScheduleKind::Constant | KlScheduleKind::Linear | KlScheduleKind::Cyclical => None,
            // A latent below its free bits has no gradient, as a maximum has it.
            KlScheduleKind::FreeBits => {
                Some(per_dim.mean(&[0], false).clamp(self.free_bits as f32, f32::MAX).sum_all())
            }
            KlScheduleKind::Capacity => {
                Some(per_dim.sum(&[1], false).mean_all().add_scalar(-self.capacity_at(t) as f32).abs())
            }
        }
    }

    /// C(t), in nats.
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
        (config.loss.free_bits, config.loss.capacity) = (0.5, 8.0);
        KlSchedule::new(&config)
    }

    #[test]
    fn weights_rise_as_their_formulas_say() {
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
    fn a_latent_within_its_free_bits_costs_them_and_has_no_gradient() {
        // Means over the batch: 0.25 of a first latent, below 0.5, and 2 of a second.
        let per_dim = Var::leaf(Tensor::new(&[0.5, 1.0, 0.0, 3.0], [2, 2]));
        let penalty = schedule(KlScheduleKind::FreeBits).penalty(&per_dim, 0.0).unwrap();
        assert_eq!(penalty.value().data(), [2.5]);
        assert_eq!(penalty.backward().of(&per_dim).unwrap().data(), [0.0, 0.5, 0.0, 0.5]);
    }

    #[test]
    fn capacity_pulls_the_kl_up_and_down_to_where_it_should_be() {
        let per_dim = Var::leaf(Tensor::new(&[1.0, 1.0, 2.0, 2.0], [2, 2])); // a KL of 3
        for (t, value, slope) in [(0.0, 3.0, 0.5), (1.0, 1.0, 0.5), (2.0, 1.0, -0.5), (END, 5.0, -0.5)] {
            let penalty = schedule(KlScheduleKind::Capacity).penalty(&per_dim, t).unwrap();
            assert_eq!(penalty.value().data(), [value], "{t}");
            assert_eq!(penalty.backward().of(&per_dim).unwrap().data(), [slope; 4], "{t}");
        }
    }
}
