//! The progress of training: a bar on a terminal, elsewhere a plain line every ten seconds, and nothing with `--quiet`. It has
//! no colours, so there is nothing for NO_COLOR to turn off.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vae_core::train::Progress as Step;

use crate::console::is_quiet;

/// The time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The progress of a run, on stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// The number of images per epoch.
    epoch_images: u64,
    /// The number of images in all epochs.
    total_images: u64,
    /// The number of images so far. It does not start at 0 in a resumed run.
    done: u64,
    /// When the previous step ended; `None` after a pause.
    previous_step: Option<Instant>,
    /// The total time of the measured steps, and the images in them.
    timed: Duration,
    timed_images: u64,
    last_line: Instant,
}

impl Progress {
    pub(super) fn new(images: usize, epochs: usize) -> Progress {
        let total_images = (images as u64).saturating_mul(epochs as u64);
        let bar = (std::io::stderr().is_terminal() && !is_quiet()).then(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:24} {msg}").expect("a template of our own");
            let bar = ProgressBar::with_draw_target(Some(total_images), ProgressDrawTarget::stderr());
            bar.with_style(style.progress_chars("━╸─"))
        });
        Progress {
            bar,
            epoch_images: images as u64,
            total_images,
            done: 0,
            previous_step: None,
            timed: Duration::ZERO,
            timed_images: 0,
            last_line: Instant::now(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let now = Instant::now();
        let before = (step.epoch - 1) as u64 * self.epoch_images;
        self.done = before + (self.epoch_images * step.step as u64).div_ceil(step.steps.max(1) as u64);
        // Time between epochs (validation, files) must not lower the speed, so a step is measured from the end of the one
        // before it.
        if let Some(previous) = self.previous_step {
            self.timed += now - previous;
            self.timed_images += step.images as u64;
        }
        self.previous_step = Some(now);
        let speed = self.timed_images as f64 / self.timed.as_secs_f64().max(1e-9);
        let known = self.timed > Duration::ZERO;
        let left = if known {
            format_duration((self.total_images - self.done.min(self.total_images)) as f64 / speed)
        } else {
            "?".into()
        };
        let speed = if known { format!("{speed:.0}") } else { "?".into() };
        let words = format!("{speed} images/s · loss {:.2} · {left} left", step.losses.total);
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(format!("epoch {}", step.epoch));
                bar.set_position(self.done);
                bar.set_message(words);
            }
            None if now - self.last_line >= LINE_INTERVAL && !is_quiet() => {
                self.last_line = now;
                let _ =
                    writeln!(std::io::stderr(), "epoch {}, step {} of {} · {words}", step.epoch, step.step, step.steps);
            }
            None => {}
        }
    }

    /// Notes a pause of training, which does not count as time of the next step.
    pub(super) fn pause(&mut self) {
        self.previous_step = None;
        if let Some(bar) = &self.bar {
            bar.set_message("validating");
        }
    }

    /// Hides the bar while `write` prints something else.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Formats seconds as minutes and seconds, or hours and minutes.
fn format_duration(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match seconds {
        0..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::format_duration;

    #[test]
    fn durations_are_readable() {
        assert_eq!([0.2, 65.0, 3600.0, 7384.0].map(format_duration), ["0:00 min", "1:05 min", "1:00 h", "2:03 h"]);
        assert_eq!(format_duration(f64::INFINITY), format_duration(1e9));
    }
}
