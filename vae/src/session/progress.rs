//! How far training has come: a bar on a terminal, elsewhere a plain line every ten seconds, and nothing where somebody asked for
//! silence. No colours, so there is nothing for NO_COLOR to turn off.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vae_core::train::Progress as Step;

use crate::command::is_quiet;

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// The progress of a run, on stderr.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    /// Images of an epoch, of all epochs, and those done, which is not 0 where a run goes on.
    images: u64,
    all: u64,
    done: u64,
    /// When the step before this one ended, unless training paused.
    since: Option<Instant>,
    /// Time that steps took, and the images in them.
    spent: Duration,
    timed: u64,
    spoke: Instant,
}

impl Progress {
    pub(super) fn new(images: usize, epochs: usize) -> Progress {
        let all = (images as u64).saturating_mul(epochs as u64);
        let bar = (std::io::stderr().is_terminal() && !is_quiet()).then(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:24} {msg}").expect("a template of our own");
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
            bar.with_style(style.progress_chars("━╸─"))
        });
        let images = images as u64;
        Progress { bar, images, all, done: 0, since: None, spent: Duration::ZERO, timed: 0, spoke: Instant::now() }
    }

    pub(super) fn step(&mut self, step: &Step) {
        let now = Instant::now();
        let before = (step.epoch - 1) as u64 * self.images;
        self.done = before + (self.images * step.step as u64).div_ceil(step.steps.max(1) as u64);
        // Time between epochs (validation, files) is no part of the speed: a step counts from the one before it.
        if let Some(since) = self.since {
            self.spent += now - since;
            self.timed += step.images as u64;
        }
        self.since = Some(now);
        let speed = self.timed as f64 / self.spent.as_secs_f64().max(1e-9);
        let known = self.spent > Duration::ZERO;
        let left = if known { clock((self.all - self.done.min(self.all)) as f64 / speed) } else { "?".into() };
        let speed = if known { format!("{speed:.0}") } else { "?".into() };
        let words = format!("{speed} images/s · loss {:.2} · {left} left", step.losses.total);
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(format!("epoch {}", step.epoch));
                bar.set_position(self.done);
                bar.set_message(words);
            }
            None if now - self.spoke >= PAUSE && !is_quiet() => {
                self.spoke = now;
                let _ =
                    writeln!(std::io::stderr(), "epoch {}, step {} of {} · {words}", step.epoch, step.step, step.steps);
            }
            None => {}
        }
    }

    /// Training pauses: what follows does not count as its time.
    pub(super) fn pause(&mut self) {
        self.since = None;
        if let Some(bar) = &self.bar {
            bar.set_message("validating");
        }
    }

    /// Writes something else without tearing the bar.
    pub(super) fn aside(&self, write: impl FnOnce()) {
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

/// Seconds as minutes and seconds, or hours and minutes.
fn clock(seconds: f64) -> String {
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match seconds {
        0..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn time_left_reads_well() {
        assert_eq!([0.2, 65.0, 3600.0, 7384.0].map(clock), ["0:00 min", "1:05 min", "1:00 h", "2:03 h"]);
        assert_eq!(clock(f64::INFINITY), clock(1e9));
    }
}
