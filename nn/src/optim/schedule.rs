//! Learning rates by epoch, e = 0 … E − 1, from a base rate:
//!   constant: base      linear: base·(E − e)/E      cosine: base·½(1 + cos(π·e/E))
//!   step: base·factor^⌊e/every⌋
//!   one cycle: from base/25 to base in the first 30 %, then to base/25·10⁻⁴, both along half a period of a cosine
//!   warm-up: base·(e + 1)/n in the first n epochs, then another schedule over the other E − n
//!   plateau:  base·factorⁿ, where n increases whenever the validation loss has not improved for more than `patience` epochs

/// How the learning rate changes over a run, by epoch e = 0 … E − 1.
#[derive(Clone, PartialEq, Debug)]
pub enum Schedule {
    /// A constant rate.
    Constant,
    /// `base·(E − e)/E`: decreases in equal steps from the base rate to base/E in the last epoch.
    Linear,
    /// `base·½(1 + cos(π·e/E))`: decreases along half a period of a cosine.
    Cosine,
    /// `base·factor^⌊e/every⌋` (PyTorch's `StepLR`).
    Step {
        /// The number of epochs between two changes, at least 1.
        every: usize,
        /// The factor of each change.
        factor: f64,
    },
    /// Rises from base/25 to the base rate in the first 30 % of the epochs and falls to base/25·10⁻⁴ in the last, along cosines (Smith
    /// and Topin, 1708.07120; PyTorch's `OneCycleLR` with its settings). It is meant for steps in place of epochs.
    OneCycle,
    /// Rises in equal steps in the first epochs, then follows another schedule over the epochs that are left.
    WarmUp {
        /// The number of epochs until the rate is the base rate.
        epochs: usize,
        /// The schedule of the others.
        then: Box<Schedule>,
    },
    /// Multiplied by a factor when the validation loss stops improving.
    Plateau(Plateau),
}

/// Lowers the rate when the validation loss stops improving: PyTorch's `ReduceLROnPlateau` with a threshold of 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Plateau {
    /// The factor by which the rate is multiplied.
    pub factor: f64,
    /// The number of epochs without improvement that do not lower the rate.
    pub patience: usize,
    /// The lowest validation loss so far.
    pub best: f64,
    /// The number of epochs since then, or since the rate was last lowered.
    pub waited: usize,
    /// The current multiple of the base rate.
    pub scale: f64,
}

impl Plateau {
    /// A schedule that multiplies the rate by `factor` after more than `patience` epochs without improvement.
    pub fn new(factor: f64, patience: usize) -> Plateau {
        Plateau { factor, patience, best: f64::INFINITY, waited: 0, scale: 1.0 }
    }
}

impl Schedule {
    /// The rate in `epoch`, counted from 0, of a run of `epochs`.
    pub fn rate(&self, base: f64, epoch: usize, epochs: usize) -> f64 {
        let (e, all) = (epoch as f64, epochs.max(1) as f64);
        match self {
            Schedule::Constant => base,
            Schedule::Linear => base * (all - e) / all,
            Schedule::Cosine => base * 0.5 * (1.0 + (std::f64::consts::PI * e / all).cos()),
            Schedule::Step { every, factor } => base * factor.powi((epoch / every) as i32),
            Schedule::OneCycle => {
                let cosine = |from: f64, to: f64, part: f64| {
                    to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
                };
                let (least, peak, last) = (base / 25.0, 0.3 * all - 1.0, all - 1.0);
                match e <= peak {
                    true => cosine(least, base, e / peak),
                    false => cosine(base, 1e-4 * least, (e - peak) / (last - peak)),
                }
            }
            Schedule::WarmUp { epochs: n, .. } if epoch < *n => base * (e + 1.0) / *n as f64,
            Schedule::WarmUp { epochs: n, then } => then.rate(base, epoch - n, epochs.saturating_sub(*n)),
            Schedule::Plateau(plateau) => base * plateau.scale,
        }
    }

    /// Passes the validation loss of the epoch that has just ended to a plateau schedule. Other schedules ignore it.
    pub fn observe(&mut self, loss: f64) {
        let plateau = match self {
            Schedule::Plateau(plateau) => plateau,
            Schedule::WarmUp { then, .. } => return then.observe(loss),
            _ => return,
        };
        if loss < plateau.best {
            plateau.best = loss;
            plateau.waited = 0;
            return;
        }
        plateau.waited += 1;
        if plateau.waited > plateau.patience {
            plateau.scale *= plateau.factor;
            plateau.waited = 0;
        }
    }
}
