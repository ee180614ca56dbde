//! Trains a model and writes the folder of the run: one line per epoch in `metrics.jsonl`, checkpoints, and curves, and
//! at the end the figures of the final weights. An interrupted run continues from its last checkpoint ([`ResumedRun`])
//! and gives the same results as a run without interruption.

use std::path::Path;
use std::time::{Duration, Instant};

use pollster::block_on;
use vae_core::config::{Config, DataKind, KlScheduleKind, Loss, LossKind, Reduction};
use vae_core::data::Dataset;
use vae_core::objective::Losses;
use vae_core::predict::{IN_USE, Predictor};
use vae_core::train::{EarlyStopping, Epoch, Progress, Trainer, Verdict};
use vae_core::{Error, Result};

use crate::checkpoint;
use crate::dataset_record::{DatasetRecord, HASHES, ImageHashes};
use crate::folder::{BEST, CONFIG_HEAD, Folder, LAST, METRICS, STEPS};
use crate::loaded::describe_weights;
use crate::ranks::{self, RankSpeed};
use crate::resume::ResumedRun;
use crate::timings::{TIMING, Timings};
use crate::writer::RunWriter;

/// A file to write: its name in the folder, and its bytes.
pub type RunFile = (String, Vec<u8>);

/// The figures of a run. The caller draws them; the run decides when, and writes the files.
#[derive(Clone, Copy)]
pub struct RunFigures {
    /// Draws figures of all epochs so far, such as curves. Called after each epoch.
    pub after_epoch: fn(&Config, &[Epoch]) -> Vec<RunFile>,
    /// Draws figures of the weights after so many epochs, such as a map of the latents. Called before the first epoch, with 0, and after
    /// each.
    pub of_epoch: fn(&Predictor, usize) -> Result<Vec<RunFile>>,
    /// Draws figures of the final weights, such as reconstructions. Called at the end, also of a run that is interrupted, with words
    /// for these weights, such as `epoch 3`.
    pub at_end: fn(&Predictor, &Dataset, &str) -> Result<Vec<RunFile>>,
}

impl RunFigures {
    /// No figures.
    pub const NONE: RunFigures = RunFigures {
        after_epoch: |_, _| Vec::new(),
        of_epoch: |_, _| Ok(Vec::new()),
        at_end: |_, _, _| Ok(Vec::new()),
    };
}

/// What a run reports while it trains.
pub enum Event<'a> {
    /// A step has ended.
    Step(&'a Progress),
    /// The training steps of an epoch have ended, and validation starts.
    Validating,
    /// An epoch has ended.
    Epoch(&'a Epoch, &'a Trainer),
    /// The speed of each of several processes in the epoch that has ended. Only rank 0 is told.
    Ranks(&'a [RankSpeed]),
    /// A problem that does not stop the run.
    Warning(String),
    /// The result on the test images, at the end of the run.
    Tested(String),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// Early stopping ended the run, because the validation loss stopped improving. The weights are those of the best
    /// epoch.
    Stopped {
        /// The last epoch.
        after: usize,
        /// The best epoch.
        best: usize,
    },
    /// The caller stopped the run.
    Interrupted,
}

/// How long rank 0 may be silent while it writes the files of an epoch.
const WRITING: Duration = Duration::from_secs(600);

/// Trains until all epochs are done, or until `on_event` returns false. Training starts at the checkpoint of `resumed`,
/// if given. Of several processes (`Trainer::join`) rank 0 has the folder, and the others follow it ([`Folder::follow`]).
///
/// # Errors
/// Returns an error if training diverges, if the device fails, or if a file could not be saved until the end. A file
/// that cannot be saved does not stop the training.
pub fn run(
    trainer: &mut Trainer,
    folder: &mut Folder,
    mut resumed: Option<ResumedRun>,
    figures: RunFigures,
    on_event: &mut dyn FnMut(Event) -> bool,
) -> Result<Outcome> {
    let hashes = resumed.as_mut().and_then(|resumed| resumed.hashes.take());
    let hashes = hashes.map_or_else(|| ImageHashes::of(&trainer.dataset), Ok)?;
    let data = DatasetRecord::new(trainer.config(), &trainer.dataset, &hashes);
    ranks::check_equal(trainer, &data, resumed.as_ref().map(ResumedRun::bytes))?;
    folder.write("config.toml", config_file(trainer).as_bytes())?;
    folder.write(HASHES, &hashes.to_bytes())?;
    let path = folder.path().to_owned();
    let patience = trainer.config().train.early_stopping;
    let (early, history, best) = (EarlyStopping::new(patience), Vec::new(), None);
    let (writer, saved) = (RunWriter::new(folder), Instant::now());
    let timings = Timings::new(trainer.device().name());
    trainer.communicator().alive(Duration::ZERO);
    let mut run = Run { trainer, data, writer, early, history, timings, best, figures, on_event, saved };
    let trained = run.begin(resumed).and_then(|()| run.train());
    let ended = trained.and_then(|outcome| run.end(outcome).map(|()| outcome));
    // Also after an error, what could not be written before is written now, if the disk has room again.
    let finished = run.writer.finish();
    if let (Err(_), Err(unsaved)) = (&ended, &finished) {
        (run.on_event)(Event::Warning(unsaved.to_string()));
    }
    let outcome = ended.map_err(|error| with_last_checkpoint(error, &path))?;
    finished.map(|()| outcome)
}

/// The state of a run while it trains.
struct Run<'a> {
    trainer: &'a mut Trainer,
    /// The description of the images, which is in every checkpoint.
    data: DatasetRecord,
    writer: RunWriter<'a>,
    early: EarlyStopping,
    history: Vec<Epoch>,
    timings: Timings,
    /// The bytes of the best checkpoint, if early stopping may load it at the end.
    best: Option<Vec<u8>>,
    figures: RunFigures,
    on_event: &'a mut dyn FnMut(Event) -> bool,
    /// The time when the last checkpoint was written.
    saved: Instant,
}

impl Run<'_> {
    /// Restores the state of a resumed run, or writes the first checkpoint of a new run.
    fn begin(&mut self, resumed: Option<ResumedRun>) -> Result<()> {
        let Some(resumed) = resumed else {
            self.draw_weights(0)?;
            return self.save();
        };
        resumed.restore(self.trainer)?;
        self.early = resumed.early(self.trainer.config());
        self.writer.resume_log(METRICS, resumed.metrics)?;
        self.writer.resume_log(STEPS, resumed.steps)?;
        self.timings.resume(self.writer.folder(), resumed.history.len());
        (self.history, self.best) = (resumed.history, resumed.best);
        Ok(())
    }

    /// Trains all remaining epochs.
    fn train(&mut self) -> Result<Outcome> {
        let epochs = self.trainer.config().train.epochs;
        loop {
            let (done, state) = (self.history.len(), self.trainer.state());
            if state.step == 0 && self.early.is_over(done) {
                return Ok(Outcome::Stopped { after: done, best: self.early.best().map_or(done, |(best, _)| best) });
            }
            if done >= epochs {
                return Ok(Outcome::Finished);
            }
            let Some(epoch) = self.epoch(done + 1)? else {
                self.save()?;
                return Ok(Outcome::Interrupted);
            };
            self.trainer.communicator().alive(WRITING);
            let keep_going = self.conclude(epoch)?;
            let keep_going = !self.trainer.communicator().any(!keep_going)?;
            if !keep_going && done + 1 < epochs && !self.early.is_over(done + 1) {
                return Ok(Outcome::Interrupted);
            }
        }
    }

    /// Trains and validates one epoch, or the rest of it after an interruption. Returns `None` if it is interrupted
    /// again.
    fn epoch(&mut self, number: usize) -> Result<Option<Epoch>> {
        let train = &self.trainer.config().train;
        let (log, minutes) = (train.log_steps, train.checkpoint_minutes);
        // The first process decides for all, because the others do not write checkpoints.
        let pause = Some(minutes).filter(|&minutes| minutes > 0.0 && !self.writer.is_followed());
        let pause = pause.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
        let learning_rate = self.trainer.learning_rate(number); // read before validation, which may lower it for the next epoch
        let (start, mut images) = (Instant::now(), 0);
        let _ = (self.trainer.timing(), self.trainer.take_trained()); // discards those of an epoch that was interrupted
        let train = loop {
            let mut stop = false;
            let Run { trainer, writer, on_event, saved, .. } = self;
            let train = block_on(trainer.epoch(number, &mut |progress| {
                images += progress.images;
                if progress.number.is_multiple_of(log) {
                    writer.line(STEPS, &progress.json().to_string());
                }
                stop |= !on_event(Event::Step(progress));
                !stop && pause.is_none_or(|pause| saved.elapsed() < pause)
            }))?;
            if train.is_none() {
                stop = self.trainer.communicator().any(stop)?; // or only a pause to write a checkpoint
            }
            match train {
                Some(train) => break train,
                None if stop => return Ok(None),
                None => self.save()?,
            }
        };
        let mut timing = self.trainer.timing();
        let trained = start.elapsed();
        let images_per_second = images as f64 / trained.as_secs_f64();
        (self.on_event)(Event::Validating);
        let validation = block_on(self.trainer.validate())?;
        if !validation.losses.is_finite() {
            return Err(self.trainer.diverged("the validation loss".into(), self.trainer.steps()));
        }
        self.trainer.observe(validation.losses.total);
        let seconds = start.elapsed().as_secs_f64();
        timing.other = (trained.as_secs_f64() - timing.sum()).max(0.0);
        timing.validation = seconds - trained.as_secs_f64();
        self.timings.add(number, timing);
        let ranks = ranks::speeds(self.trainer, &timing, trained.as_secs_f64())?;
        if !ranks.is_empty() {
            (self.on_event)(Event::Ranks(&ranks));
        }
        Ok(Some(Epoch { epoch: number, train, validation, learning_rate, seconds, images_per_second }))
    }

    /// Writes and reports the results of an epoch. Returns whether to continue training.
    fn conclude(&mut self, epoch: Epoch) -> Result<bool> {
        let number = epoch.epoch;
        self.writer.line(METRICS, &epoch.json().to_string());
        self.writer.file(TIMING, self.timings.json());
        if let Some(kl) = collapsed_kl(&epoch.train)
            && self.history.iter().all(|before| collapsed_kl(&before.train).is_none())
        {
            (self.on_event)(Event::Warning(format!(
                "the KL of epoch {number} is {kl:.3} nats: the posterior has collapsed onto the prior, so the latents \
                 carry no information; try {}",
                hint_against_collapse(&self.trainer.config().loss)
            )));
        }
        let total = epoch.validation.losses.total;
        let is_best = match self.trainer.config().loss.kind.total_is_comparable() {
            true => self.early.observe(number, total) == Verdict::Best,
            false => self.early.keep(number, total),
        };
        if is_best && !self.writer.is_followed() {
            let best = block_on(checkpoint::best(self.trainer, &self.data, &self.early))?;
            self.best = self.ends_with_best().then(|| best.clone());
            self.writer.file(BEST, best);
        }
        self.history.push(epoch);
        self.draw();
        self.draw_weights(number)?;
        self.save()?;
        Ok((self.on_event)(Event::Epoch(&self.history[number - 1], self.trainer)))
    }

    /// Returns whether the run ends with the weights of its best epoch.
    fn ends_with_best(&self) -> bool {
        self.trainer.config().train.early_stopping > 0
    }

    /// Writes the figures of the epochs so far.
    fn draw(&mut self) {
        if self.writer.is_followed() {
            return;
        }
        let files = (self.figures.after_epoch)(self.trainer.config(), &self.history);
        files.into_iter().for_each(|(name, bytes)| self.writer.file(&name, bytes));
    }

    /// Writes the figures of the weights after so many epochs.
    fn draw_weights(&mut self, epochs: usize) -> Result<()> {
        if self.writer.is_followed() {
            return Ok(());
        }
        let files = (self.figures.of_epoch)(&self.trainer.predictor(), epochs)?;
        files.into_iter().for_each(|(name, bytes)| self.writer.file(&name, bytes));
        Ok(())
    }

    /// Writes a checkpoint of the current state. A process that follows another one only checks that there could be one.
    fn save(&mut self) -> Result<()> {
        if self.writer.is_followed() {
            let bad = block_on(self.trainer.first_bad_weight())?;
            return bad.map_or(Ok(()), |what| Err(self.trainer.diverged(what, self.trainer.steps())));
        }
        self.trainer.communicator().alive(WRITING);
        self.writer.file(LAST, block_on(checkpoint::last(self.trainer, &self.data, &self.early))?);
        self.saved = Instant::now();
        self.warn();
        Ok(())
    }

    fn warn(&mut self) {
        if let Some(words) = self.writer.warning() {
            (self.on_event)(Event::Warning(words));
        }
    }

    /// Draws the figures of the final weights, and reports the result on the test images.
    fn end(&mut self, outcome: Outcome) -> Result<()> {
        if self.writer.is_followed() {
            return Ok(());
        }
        let mut weights = describe_weights(self.history.len(), self.trainer.state().step);
        if outcome != Outcome::Interrupted {
            if let Some(best) = self.best.take().filter(|_| self.ends_with_best()) {
                self.trainer.load_final_weights(|model| checkpoint::load_bytes(model, &best, Path::new(BEST)))?;
                weights = self.early.best().map_or(weights, |(best, _)| describe_weights(best, 0));
            }
            self.draw();
        }
        let predictor = self.trainer.predictor();
        let files = (self.figures.at_end)(&predictor, &self.trainer.dataset, &weights)?;
        files.into_iter().for_each(|(name, bytes)| self.writer.file(&name, bytes));
        if let Some(table) = block_on(predictor.confusion(&self.trainer.dataset.test))? {
            self.writer.file("confusion.csv", table.csv().into_bytes());
            (self.on_event)(Event::Tested(format!("on the test images: {table}")));
        }
        drop(predictor);
        self.warn();
        Ok(())
    }
}

/// Returns the KL if the posterior has collapsed, so that all latents together have less than a single one in use.
pub fn collapsed_kl(losses: &Losses) -> Option<f64> {
    losses.part("kl").filter(|&kl| kl < IN_USE)
}

/// Returns what to try after a posterior collapse, that is, when the KL is close to 0.
pub fn hint_against_collapse(loss: &Loss) -> String {
    let weights = match (loss.kind, loss.schedule) {
        (LossKind::Weighted, _) => "a smaller loss.k2",
        (LossKind::Tc, _) => "smaller loss.alpha, loss.beta and loss.gamma",
        (LossKind::Iwae, _) => "a larger loss.samples",
        (LossKind::Mmd, _) if loss.alpha < 1.0 => "a larger loss.alpha",
        (LossKind::Mmd, _) => "a larger loss.lambda",
        (LossKind::Beta, KlScheduleKind::Capacity) => "a larger loss.capacity",
        (LossKind::Beta | LossKind::Dip | LossKind::Factor | LossKind::Csvae, _) => "a smaller loss.beta",
        (LossKind::VaeGan | LossKind::SoftIntro, _) => "a smaller loss.beta",
    };
    let sums = if loss.reduction == Reduction::Mean { "loss.reduction = \"sum\", " } else { "" };
    let has_warmup = !matches!(loss.kind, LossKind::Iwae | LossKind::Mmd);
    let slowly = match loss.schedule {
        KlScheduleKind::Constant if has_warmup => "loss.schedule = \"linear\", ",
        _ => "",
    };
    format!("{sums}{weights}, {slowly}or another seed")
}

/// Adds to the error of a run that diverged or whose device failed where the last good weights are, and how to go on without that
/// device.
fn with_last_checkpoint(error: Error, run: &Path) -> Error {
    let last = run.join(LAST);
    let extended = |what: &str| format!("{what}; the last good weights are in {}", last.display());
    match error {
        Error::Diverged(what) if last.exists() => Error::Diverged(extended(&what)),
        Error::Device(tensor::Error::Device { device, what }) if last.exists() => {
            let what = format!("{}; go on with: train --resume {} --device cpu", extended(&what), run.display());
            Error::Device(tensor::Error::Device { device, what })
        }
        error => error,
    }
}

fn config_file(trainer: &Trainer) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{CONFIG_HEAD} {version} with every key. Repeat it with: train --recipe <this file>\n\n{}",
        with_absolute_paths(trainer.config()).to_toml()
    )
}

/// Returns a configuration whose `data.dir` and `data.cache` do not depend on the working directory. A data set without files keeps
/// them.
pub fn with_absolute_paths(config: &Config) -> Config {
    let mut config = config.clone();
    let has_files = !matches!(config.data.kind, DataKind::Digits | DataKind::Shapes);
    for path in [&mut config.data.dir, &mut config.data.cache] {
        let absolute = std::path::absolute(&*path).ok().and_then(|path| Some(path.to_str()?.to_owned()));
        if let Some(absolute) = absolute.filter(|_| has_files && !path.is_empty()) {
            *path = absolute;
        }
    }
    config
}

/// Describes in one line what a configuration trains: the images, the model and the losses.
pub fn describe(config: &Config) -> String {
    let words = format!("{} · {} · {}", config.data.kind, config.model.words(), config.loss_words());
    match config.model.is_vae() {
        true => format!("{words}, effective β = {}", config.effective_beta()),
        false => words,
    }
}

/// Returns the unit of the total loss.
pub fn loss_unit(config: &Config) -> &'static str {
    match config.loss.reduction {
        Reduction::Sum => "nats per image",
        Reduction::Mean => "loss (means)",
    }
}

#[cfg(test)]
mod tests;
