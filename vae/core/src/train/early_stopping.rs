//! Early stopping: training ends after a number of epochs without a better validation loss. An equal loss is not
//! better, and NaN is never better.

/// Tracks the best epoch.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    patience: usize,
    best: Option<(usize, f64)>,
}

/// The consequence of an epoch's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The loss is the best so far. Keep these weights.
    Best,
    /// The loss is not the best. Continue.
    Continue,
    /// There was no improvement for `patience` epochs. Stop.
    Stop,
}

impl EarlyStopping {
    /// Stops after `patience` epochs without improvement; never if it is 0.
    pub fn new(patience: usize) -> EarlyStopping {
        EarlyStopping { patience, best: None }
    }

    /// Creates the state of a resumed run, whose best epoch and loss are known.
    pub fn since(patience: usize, best: Option<(usize, f64)>) -> EarlyStopping {
        EarlyStopping { patience, best }
    }

    /// Returns whether to stop after this epoch, counted from 1; 0 is the time before the first.
    pub fn is_over(&self, epoch: usize) -> bool {
        self.patience > 0 && epoch - self.best.map_or(0, |(best, _)| best) >= self.patience
    }

    /// Records the validation loss of an epoch, counted from 1, and returns its consequence.
    pub fn observe(&mut self, epoch: usize, loss: f64) -> Verdict {
        let better = match self.best {
            None => !loss.is_nan(),
            Some((_, best)) => loss < best,
        };
        if better {
            self.best = Some((epoch, loss));
            return Verdict::Best;
        }
        if self.is_over(epoch) { Verdict::Stop } else { Verdict::Continue }
    }

    /// Records an epoch as the best so far, for losses that cannot be compared with those of other epochs. Returns whether it is one:
    /// NaN is not.
    pub fn keep(&mut self, epoch: usize, loss: f64) -> bool {
        self.best = Some((epoch, loss)).filter(|_| !loss.is_nan()).or(self.best);
        !loss.is_nan()
    }

    /// Returns the best epoch and its loss, or `None` if every loss so far was NaN.
    pub fn best(&self) -> Option<(usize, f64)> {
        self.best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(patience: usize, losses: &[f64]) -> (Option<usize>, Option<usize>) {
        let mut early = EarlyStopping::new(patience);
        let stop = losses.iter().zip(1..).find(|&(&loss, epoch)| early.observe(epoch, loss) == Verdict::Stop);
        (stop.map(|(_, epoch)| epoch), early.best().map(|(epoch, _)| epoch))
    }

    #[test]
    fn stops_after_epoch_8_and_restores_epoch_3() {
        // The loss 3.0 of epoch 6 equals the best, which is not an improvement.
        let losses = [5.0, 4.0, 3.0, 3.1, 3.2, 3.0, 3.3, 3.4];
        assert_eq!(stops(5, &losses), (Some(8), Some(3)));
        assert_eq!(stops(5, &losses[..7]), (None, Some(3)));
        assert_eq!(stops(0, &losses), (None, Some(3)));
    }

    #[test]
    fn nan_is_never_the_best() {
        assert_eq!(stops(2, &[f64::NAN, f64::NAN]), (Some(2), None));
        assert_eq!(stops(2, &[f64::NAN, 7.0, f64::NAN, f64::NAN]), (Some(4), Some(2)));
        assert_eq!(stops(3, &[f64::NAN, 7.0, f64::NAN, 6.0]), (None, Some(4)));
    }

    #[test]
    fn losses_that_cannot_be_compared_make_the_last_epoch_the_best() {
        let mut early = EarlyStopping::new(0);
        assert!(early.keep(1, 3.0) && early.keep(2, 5.0));
        assert_eq!(early.best(), Some((2, 5.0)));
        assert!(!early.keep(3, f64::NAN));
        assert_eq!(early.best(), Some((2, 5.0)));
    }

    #[test]
    fn a_resumed_run_continues_to_wait() {
        let mut early = EarlyStopping::since(2, Some((4, 1.0)));
        assert_eq!(early.best(), Some((4, 1.0)));
        assert_eq!([4, 5, 6].map(|epoch| early.is_over(epoch)), [false, false, true]);
        assert_eq!(early.observe(5, 0.5), Verdict::Best);
        assert_eq!([early.observe(6, 0.5), early.observe(7, 0.6)], [Verdict::Continue, Verdict::Stop]);
        assert!(!EarlyStopping::since(0, None).is_over(1_000));
        assert!(!EarlyStopping::new(3).is_over(2) && EarlyStopping::new(3).is_over(3));
    }
}
