//! Reports the events of a run while it trains: to the terminal, a live page and TensorBoard.

use std::path::Path;

use vae_core::train::Epoch;
use vae_core::{Error, Result};
use vae_figures::preview::Preview;
use vae_run::{Event, RankSpeed};

use super::progress::Progress;
use crate::console::{announce, eprint_line};
use crate::live::Live;
use crate::say;
use crate::tensorboard::{self, Log};

/// The places that a run reports to.
pub(super) struct RunReporter<'a> {
    pub(super) progress: Progress,
    pub(super) epochs: usize,
    pub(super) live: &'a mut Option<Live>,
    pub(super) tensorboard: Option<Log>,
}

/// Starts TensorBoard's event file in the folder of a run that has made `steps` steps so far.
///
/// # Errors
/// If the file cannot be created.
pub(super) fn tensorboard_log(run: &Path, steps: u64) -> Result<Log> {
    Log::create(run, steps).map_err(|error| Error::file(&run.join(tensorboard::FOLDER), format!("{error}")))
}

impl RunReporter<'_> {
    /// Reports an event.
    pub(super) fn report(&mut self, event: Event) {
        match event {
            Event::Step(step) => {
                self.progress.step(step);
                self.live.iter_mut().for_each(|live| live.step(step));
                self.log_scalars(|log| log.step(step));
            }
            Event::Validating => {
                self.progress.pause();
                self.live.iter_mut().for_each(Live::pause);
            }
            Event::Epoch(epoch, trainer) => {
                let words = epoch_line(epoch, self.epochs);
                self.progress.suspend(|| announce(&words));
                if self.live.is_some() || self.tensorboard.is_some() {
                    let shown = Preview::at(trainer);
                    self.log_scalars(|log| log.epoch(epoch, &shown));
                    self.live.iter_mut().for_each(|live| live.epoch(epoch, shown.clone(), &words));
                }
            }
            Event::Ranks(speeds) => {
                let words = ranks_line(speeds);
                self.progress.suspend(|| say!("{words}"));
                self.live.iter().for_each(|live| live.line(&words));
            }
            Event::Tested(words) => {
                self.progress.suspend(|| say!("\n{words}\n"));
                self.live.iter().for_each(|live| live.line(&words));
            }
            Event::Warning(words) => {
                let words = format!("warning: {words}");
                self.progress.suspend(|| eprint_line(&words));
                self.live.iter().for_each(|live| live.line(&words));
            }
        }
    }

    /// Writes to TensorBoard's file. If that fails, as on a full disk, training goes on: there is one warning, and no more is written.
    fn log_scalars(&mut self, write: impl FnOnce(&mut Log) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.tensorboard.as_mut().map(write) {
            self.tensorboard = None;
            let words = format!("warning: {}/: {error}; nothing more is written for TensorBoard", tensorboard::FOLDER);
            self.progress.suspend(|| eprint_line(&words));
        }
    }
}

/// The images per second of each process, and the share of the time that it waited for the sum of the gradients. Then what the
/// process that sent most has sent in a step, and the least share of it that was sent during the backward pass.
fn ranks_line(speeds: &[RankSpeed]) -> String {
    let rank = |(rank, speed): (usize, &RankSpeed)| {
        let RankSpeed { images, seconds, communication, .. } = *speed;
        let seconds = seconds.max(1e-9);
        format!("rank {rank} {:.0} images/s, {:.0} % waiting", images / seconds, 100.0 * communication / seconds)
    };
    let sent = speeds.iter().map(|speed| speed.sent).fold(0.0, f64::max);
    let overlapped = speeds.iter().map(|speed| speed.overlapped).fold(1.0, f64::min);
    let sent =
        format!("{:.1} MB sent a step, {:.0} % of it in the backward pass", sent / 1e6, (100.0 * overlapped).floor());
    speeds.iter().enumerate().map(rank).chain([sent]).collect::<Vec<_>>().join("  |  ")
}

fn epoch_line(epoch: &Epoch, epochs: usize) -> String {
    let width = epochs.to_string().len();
    format!(
        "epoch {:width$}/{epochs}  train {}  |  validation {}  |  lr {:.3e}  {:.1} s  {:.0} images/s",
        epoch.epoch, epoch.train, epoch.validation.losses, epoch.learning_rate, epoch.seconds, epoch.images_per_second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_its_speed_and_its_share_of_waiting() {
        let speed = |images, communication, sent, overlapped| RankSpeed {
            images,
            seconds: 4.0,
            communication,
            sent,
            overlapped,
        };
        let line = ranks_line(&[speed(400.0, 1.0, 2e6, 0.999), speed(300.0, 0.1, 3.5e6, 0.756)]);
        let ranks = "rank 0 100 images/s, 25 % waiting  |  rank 1 75 images/s, 2 % waiting";
        assert_eq!(line, format!("{ranks}  |  3.5 MB sent a step, 75 % of it in the backward pass"));
    }
}
