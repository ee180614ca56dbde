//! Where the time of an epoch goes. A lap is what has passed since the one before it, so that laps add up to the whole; the clock
//! is read five times a step, less than a microsecond.
//!
//! On a GPU these are the host's times: `forward`, `backward` and `optimiser` are spent on handing work over, and what the
//! device needs for it is waited for in `reading`.

use serde::{Deserialize, Serialize};

/// Seconds by kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Waiting for the thread that prepares images.
    pub data: f64,
    /// The model and its loss.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// Looking at the gradients, Adam, the moving average.
    pub optimiser: f64,
    /// Waiting for the losses of steps: next to nothing on the CPU, on a GPU most of what it computes.
    pub reading: f64,
    /// The validation images.
    pub validation: f64,
    /// Whatever else: progress, logs, checkpoints within the epoch.
    pub other: f64,
}

impl Timing {
    /// The kinds, by name.
    pub const KINDS: [&str; 7] = ["data", "forward", "backward", "optimiser", "reading", "validation", "other"];

    /// The seconds of each kind, in the order of [`KINDS`](Timing::KINDS).
    pub fn seconds(&self) -> [f64; 7] {
        let Timing { data, forward, backward, optimiser, reading, validation, other } = *self;
        [data, forward, backward, optimiser, reading, validation, other]
    }

    /// All kinds together.
    pub fn sum(&self) -> f64 {
        self.seconds().iter().sum()
    }

    /// Adds what another epoch took.
    pub fn add(&mut self, more: &Timing) {
        let Timing { data, forward, backward, optimiser, reading, validation, other } = self;
        let kinds = [data, forward, backward, optimiser, reading, validation, other];
        kinds.into_iter().zip(more.seconds()).for_each(|(sum, seconds)| *sum += seconds);
    }
}

/// What adds laps up. Where there are no clocks, in a browser, none of them takes any time.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    pub(super) timing: Timing,
    #[cfg(not(target_arch = "wasm32"))]
    since: Option<std::time::Instant>,
}

impl Clock {
    /// What has passed belongs to nothing; the next lap begins.
    pub(super) fn start(&mut self) {
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.since = Some(std::time::Instant::now());
        }
    }

    /// A lap ends; it was spent on this.
    #[cfg_attr(target_arch = "wasm32", allow(unused_variables))]
    pub(super) fn lap(&mut self, kind: fn(&mut Timing) -> &mut f64) {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let now = std::time::Instant::now();
            *kind(&mut self.timing) += self.since.map_or(0.0, |since| (now - since).as_secs_f64());
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn laps_go_where_they_belong_and_leave_nothing_out() {
        let mut clock = Clock::default();
        clock.lap(|timing| &mut timing.other); // never started: nothing has passed
        assert_eq!(clock.timing, Timing::default());
        let pause = |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds));
        let began = std::time::Instant::now();
        clock.start();
        pause(20);
        clock.lap(|timing| &mut timing.forward);
        pause(5);
        clock.lap(|timing| &mut timing.backward);
        pause(20);
        clock.lap(|timing| &mut timing.forward);
        let (timing, all) = (clock.timing, began.elapsed().as_secs_f64());
        assert!(timing.forward >= 0.04 && timing.backward >= 0.005 && timing.data == 0.0, "{timing:?}");
        assert!((timing.sum() - all).abs() < 0.005, "{timing:?} of {all}");
        pause(5);
        clock.start();
        assert_eq!(clock.timing, timing, "a pause between epochs is nobody's");
    }

    #[test]
    fn kinds_are_told_by_their_names() {
        let timing = Timing {
            data: 1.0,
            forward: 2.0,
            backward: 3.0,
            optimiser: 4.0,
            reading: 5.0,
            validation: 6.0,
            other: 7.0,
        };
        let json = serde_json::to_value(timing).unwrap();
        for (kind, seconds) in Timing::KINDS.iter().zip(timing.seconds()) {
            assert_eq!(json[kind], seconds);
        }
        let mut sum = timing;
        sum.add(&timing);
        assert_eq!((sum.seconds(), sum.sum()), (timing.seconds().map(|x| 2.0 * x), 56.0));
    }
}
