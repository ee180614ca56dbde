//! What a run tells while it goes on, and to whom: the terminal, a live page, TensorBoard.

use std::path::Path;

use vae_core::train::Epoch;
use vae_core::{Error, Result};
use vae_figures::preview::Preview;
use vae_run::Event;

use super::eprint_line;
use super::progress::Progress;
use crate::live::Live;
use crate::say;
use crate::tensorboard::{self, Log};

/// Whoever is told.
pub(super) struct Teller<'a> {
    pub(super) progress: Progress,
    pub(super) epochs: usize,
    pub(super) live: &'a mut Option<Live>,
    pub(super) board: Option<Log>,
}

/// TensorBoard's files of a run in this folder, which goes on after so many steps.
///
/// # Errors
/// If they cannot be begun.
pub(super) fn board(run: &Path, done: u64) -> Result<Log> {
    Log::create(run, done).map_err(|error| Error::file(&run.join(tensorboard::FOLDER), format!("{error}")))
}

impl Teller<'_> {
    /// Tells what happened.
    pub(super) fn tell(&mut self, event: Event) {
        match event {
            Event::Step(step) => {
                self.progress.step(step);
                self.live.iter_mut().for_each(|live| live.step(step));
                self.chart(|board| board.step(step));
            }
            Event::Validating => {
                self.progress.pause();
                self.live.iter_mut().for_each(Live::pause);
            }
            Event::Epoch(epoch, trainer) => {
                let words = words_of(epoch, self.epochs);
                self.progress.aside(|| say!("{words}"));
                if self.live.is_some() || self.board.is_some() {
                    let shown = Preview::at(trainer);
                    self.chart(|board| board.epoch(epoch, &shown));
                    self.live.iter_mut().for_each(|live| live.epoch(epoch, shown.clone(), &words));
                }
            }
            Event::Tested(words) => {
                self.progress.aside(|| say!("\n{words}\n"));
                self.live.iter().for_each(|live| live.line(&words));
            }
            Event::Warning(words) => {
                let words = format!("warning: {words}");
                self.progress.aside(|| eprint_line(&words));
                self.live.iter().for_each(|live| live.line(&words));
            }
        }
    }

    /// Writes to TensorBoard's file. A full disk ends no training: there is a warning, and no more of these files.
    fn chart(&mut self, write: impl FnOnce(&mut Log) -> std::io::Result<()>) {
        if let Some(Err(error)) = self.board.as_mut().map(write) {
            self.board = None;
            let words = format!("warning: {}/: {error}; TensorBoard is told no more", tensorboard::FOLDER);
            self.progress.aside(|| eprint_line(&words));
        }
    }
}

fn words_of(epoch: &Epoch, epochs: usize) -> String {
    let width = epochs.to_string().len();
    format!(
        "epoch {:width$}/{epochs}  train {}  |  validation {}  |  lr {:.3e}  {:.1} s  {:.0} images/s",
        epoch.epoch, epoch.train, epoch.validation.losses, epoch.learning_rate, epoch.seconds, epoch.images_per_second
    )
}
