//! Measures where the time of an epoch goes. A lap is the time since the end of the previous lap, so the laps add up to
//! the whole. The clock is read five times per step, which takes less than a microsecond.
//!
//! On a GPU these are times of the host: `forward`, `backward` and `optimiser` are the time to submit work, and the
//! host waits for the device in `reading`.

use serde::{Deserialize, Serialize};

/// Seconds per kind of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Waiting for the thread that prepares batches.
    pub data: f64,
    /// The forward pass of the model and its loss.
    pub forward: f64,
    /// The backward pass.
    pub backward: f64,
    /// The check of the gradients, Adam, and the moving average of the weights.
    pub optimiser: f64,
    /// Reading the losses of steps. This is almost 0 on the CPU. On a GPU it is most of the device's computing time.
    pub reading: f64,
    /// Waiting for the sum of the gradients over all processes, after the backward pass.
    #[serde(default)]
    pub communication: f64,
    /// Validation.
    pub validation: f64,
    /// Everything else: progress messages, logs, and checkpoints within the epoch.
    pub other: f64,
}

impl Timing {
    /// The names of the kinds.
    pub const KINDS: [&str; 8] =
        ["data", "forward", "backward", "optimiser", "reading", "communication", "validation", "other"];

    /// Returns the seconds of each kind in the order of [`KINDS`](Timing::KINDS).
    pub fn seconds(&self) -> [f64; 8] {
        let Timing { data, forward, backward, optimiser, reading, communication, validation, other } = *self;
        [data, forward, backward, optimiser, reading, communication, validation, other]
    }

    /// Returns the sum over all kinds.
    pub fn sum(&self) -> f64 {
        self.seconds().iter().sum()
    }

    /// Adds the times of another epoch.
    pub fn add(&mut self, more: &Timing) {
        let Timing { data, forward, backward, optimiser, reading, communication, validation, other } = self;
        let kinds = [data, forward, backward, optimiser, reading, communication, validation, other];
        kinds.into_iter().zip(more.seconds()).for_each(|(sum, seconds)| *sum += seconds);
    }
}

/// Measures laps. On platforms without a clock, such as browsers, all laps are 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    pub(super) timing: Timing,
    #[cfg(not(target_arch = "wasm32"))]
    since: Option<std::time::Instant>,
}

impl Clock {
    /// Starts a lap. The time since the last lap is not counted.
    pub(super) fn start(&mut self) {
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.since = Some(std::time::Instant::now());
        }
    }

    /// Ends a lap, adds its time to a kind of work, and starts the next lap.
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
    fn laps_are_added_to_their_kind_and_add_up_to_the_whole() {
        let mut clock = Clock::default();
        clock.lap(|timing| &mut timing.other); // the clock was never started
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
        let before = clock.since;
        clock.start();
        assert!(clock.timing == timing && clock.since > before, "a pause between epochs is nobody's");
    }

    #[test]
    fn the_names_of_kinds_match_the_order_of_seconds() {
        let timing = Timing {
            data: 1.0,
            forward: 2.0,
            backward: 3.0,
            optimiser: 4.0,
            reading: 5.0,
            communication: 6.0,
            validation: 7.0,
            other: 8.0,
        };
        let json = serde_json::to_value(timing).unwrap();
        for (kind, seconds) in Timing::KINDS.iter().zip(timing.seconds()) {
            assert_eq!(json[kind], seconds);
        }
        let mut sum = timing;
        sum.add(&timing);
        assert_eq!((sum.seconds(), sum.sum()), (timing.seconds().map(|x| 2.0 * x), 72.0));
    }
}
