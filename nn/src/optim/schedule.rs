//! Learning rates by epoch, e = 0 … E − 1, from a base rate:
//!   constant: base      linear: base·(E − e)/E      cosine: base·½(1 + cos(π·e/E))
//!   plateau:  base·factorⁿ, n rising whenever the validation loss has not improved for more than `patience` epochs

/// How the learning rate changes over a run, by epoch e = 0 … E − 1.
#[derive(Clone, PartialEq, Debug)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// `base·(E − e)/E`: in equal steps, from the base rate to a last epoch at base/E.
    Linear,
    /// `base·½(1 + cos(π·e/E))`: along half a cosine.
    Cosine,
    /// By a factor when progress stops.
    Plateau(Plateau),
}

/// Lowers the rate when the validation loss stops improving: PyTorch's `ReduceLROnPlateau` with a threshold of 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Plateau {
    /// What the rate is multiplied by.
    pub factor: f64,
    /// Epochs without improvement that are forgiven.
    pub patience: usize,
    /// The lowest loss so far.
    pub best: f64,
    /// Epochs since then, or since the rate was lowered.
    pub waited: usize,
    /// What the base rate is multiplied by now.
    pub scale: f64,
}

impl Plateau {
    /// Multiplies by `factor` after more than `patience` epochs without improvement.
    pub fn new(factor: f64, patience: usize) -> Plateau {
        Plateau { factor, patience, best: f64::INFINITY, waited: 0, scale: 1.0 }
    }
}

impl Schedule {
    /// The rate of `epoch`, counted from 0, of `epochs`.
    pub fn rate(&self, base: f64, epoch: usize, epochs: usize) -> f64 {
        let (e, all) = (epoch as f64, epochs.max(1) as f64);
        match self {
            Schedule::Constant => base,
            Schedule::Linear => base * (all - e) / all,
            Schedule::Cosine => base * 0.5 * (1.0 + (std::f64::consts::PI * e / all).cos()),
            Schedule::Plateau(plateau) => base * plateau.scale,
        }
    }

    /// Tells a plateau schedule the validation loss of the epoch that just ended; others do not care.
    pub fn observe(&mut self, loss: f64) {
        let Schedule::Plateau(plateau) = self else { return };
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
