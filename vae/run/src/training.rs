//! A run in its folder: every epoch a line in `metrics.jsonl`, checkpoints and curves; at the end the pictures. One that was
//! interrupted in any way goes on from its last checkpoint ([`ResumedRun`]) as if nothing had happened.

use std::path::Path;
use std::time::{Duration, Instant};

use pollster::block_on;
use vae_core::config::{Config, KlScheduleKind, Loss, LossKind, Reduction};
use vae_core::data::Dataset;
use vae_core::predict::Predictor;
use vae_core::train::{EarlyStopping, Epoch, Progress, Trainer, Verdict};
use vae_core::{Error, Result};

use crate::checkpoint;
use crate::folder::{BEST, CONFIG_HEAD, Folder, LAST, METRICS, STEPS};
use crate::resume::ResumedRun;
use crate::timings::{TIMING, Timings};
use crate::writer::RunWriter;

/// A file to write: its name in the folder, and its bytes.
pub type RunFile = (String, Vec<u8>);

/// What a run draws. The run decides when and writes the files; the figures are the caller's.
#[derive(Clone, Copy)]
pub struct RunFigures {
    /// Figures of the epochs so far, after each epoch: such as curves.
    pub after_epoch: fn(&Config, &[Epoch]) -> Vec<RunFile>,
    /// Figures of the final weights, whose epoch is given, at the end: such as reconstructions.
    pub at_end: fn(&Predictor, &Dataset, usize) -> Result<Vec<RunFile>>,
}

impl RunFigures {
    /// No figures.
    pub const NONE: RunFigures = RunFigures { after_epoch: |_, _| Vec::new(), at_end: |_, _, _| Ok(Vec::new()) };
}

/// What the run tells while it goes on.
pub enum Event<'a> {
    /// A step is done.
    Step(&'a Progress),
    /// The training half of an epoch is done; validation comes.
    Validating,
    /// An epoch is done, by this trainer.
    Epoch(&'a Epoch, &'a Trainer),
    /// Something to worry about.
    Warning(String),
    /// What the test images say, at the end.
    Tested(String),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// Validation stopped improving; the weights are those of this epoch.
    Stopped {
        /// The last epoch.
        after: usize,
        /// The best one.
        best: usize,
    },
    /// Somebody asked it to stop.
    Interrupted,
}

/// Trains to the end, or until `tell` answers false; from the beginning, or from where a run stood.
///
/// # Errors
/// If training diverges, the device fails, or something could not be saved to the end: then all else is done nevertheless.
pub fn run(
    trainer: &mut Trainer,
    folder: &mut Folder,
    resumed: Option<ResumedRun>,
    figures: RunFigures,
    tell: &mut dyn FnMut(Event) -> bool,
) -> Result<Outcome> {
    folder.write("config.toml", config_file(trainer).as_bytes())?;
    let last = folder.path().join(LAST);
    let patience = trainer.config().train.early_stopping;
    let (early, history, best) = (EarlyStopping::new(patience), Vec::new(), None);
    let (writer, saved) = (RunWriter::new(folder), Instant::now());
    let timings = Timings::new(trainer.device().name());
    let mut run = Run { trainer, writer, early, history, timings, best, figures, tell, saved };
    run.begin(resumed)?;
    let outcome = run.train().map_err(|error| kept(error, &last))?;
    run.end(outcome)?;
    run.writer.finish()?;
    Ok(outcome)
}

/// A run that goes on.
struct Run<'a> {
    trainer: &'a mut Trainer,
    writer: RunWriter<'a>,
    early: EarlyStopping,
    history: Vec<Epoch>,
    timings: Timings,
    /// The best checkpoint, if early stopping will want it.
    best: Option<Vec<u8>>,
    figures: RunFigures,
    tell: &'a mut dyn FnMut(Event) -> bool,
    /// When the last checkpoint was written.
    saved: Instant,
}

impl Run<'_> {
    /// Goes to where the run stood, or writes the checkpoint of its beginning.
    fn begin(&mut self, resumed: Option<ResumedRun>) -> Result<()> {
        let Some(resumed) = resumed else { return self.save() };
        resumed.restore(self.trainer)?;
        self.early = resumed.early(self.trainer.config());
        self.writer.go_on(METRICS, resumed.metrics)?;
        self.writer.go_on(STEPS, resumed.steps)?;
        self.timings.go_on(self.writer.folder(), resumed.history.len());
        (self.history, self.best) = (resumed.history, resumed.best);
        Ok(())
    }

    /// Every epoch that is left.
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
            let go_on = self.conclude(epoch)?;
            if !go_on && done + 1 < epochs && !self.early.is_over(done + 1) {
                return Ok(Outcome::Interrupted);
            }
        }
    }

    /// One epoch, or what is left of it, timed; None if it was interrupted.
    fn epoch(&mut self, number: usize) -> Result<Option<Epoch>> {
        let train = &self.trainer.config().train;
        let (log, minutes) = (train.log_steps, train.checkpoint_minutes);
        let pause = Some(minutes).filter(|&minutes| minutes > 0.0);
        let pause = pause.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
        let learning_rate = self.trainer.learning_rate(number); // validation may lower it for the next
        let (start, mut images) = (Instant::now(), 0);
        let _ = self.trainer.timing(); // of an epoch that was given up
        let train = loop {
            let mut stop = false;
            let Run { trainer, writer, tell, saved, .. } = self;
            let train = block_on(trainer.epoch(number, &mut |progress| {
                images += progress.images;
                if log > 0 && progress.number().is_multiple_of(log) {
                    writer.line(STEPS, &progress.json().to_string());
                }
                stop |= !tell(Event::Step(progress));
                !stop && pause.is_none_or(|pause| saved.elapsed() < pause)
            }))?;
            match train {
                Some(train) => break train,
                None if stop => return Ok(None),
                None => self.save()?,
            }
        };
        let mut timing = self.trainer.timing();
        let trained = start.elapsed();
        let images_per_second = images as f64 / trained.as_secs_f64();
        (self.tell)(Event::Validating);
        let validation = block_on(self.trainer.validate())?;
        if !validation.losses.is_finite() {
            return Err(self.trainer.diverged("the validation loss".into(), self.trainer.steps()));
        }
        self.trainer.observe(validation.losses.total);
        let seconds = start.elapsed().as_secs_f64();
        timing.other = (trained.as_secs_f64() - timing.sum()).max(0.0);
        timing.validation = seconds - trained.as_secs_f64();
        self.timings.add(number, timing);
        Ok(Some(Epoch { epoch: number, train, validation, learning_rate, seconds, images_per_second }))
    }

    /// Keeps and tells what an epoch came to; the answer says whether to go on.
    fn conclude(&mut self, epoch: Epoch) -> Result<bool> {
        let number = epoch.epoch;
        self.writer.line(METRICS, &epoch.json().to_string());
        self.writer.file(TIMING, self.timings.json());
        let collapsed = |epoch: &Epoch| epoch.train.part("kl").filter(|&kl| kl < 0.1);
        if let Some(kl) = collapsed(&epoch)
            && self.history.iter().all(|before| collapsed(before).is_none())
        {
            (self.tell)(Event::Warning(format!(
                "the KL of epoch {number} is {kl:.3} nats: the posterior has collapsed onto the prior, so the latents \
                 carry no information; try {}",
                hint_against_collapse(&self.trainer.config().loss)
            )));
        }
        if self.early.observe(number, epoch.validation.losses.total) == Verdict::Best {
            let best = checkpoint::best(self.trainer, &self.early)?;
            self.best = (self.trainer.config().train.early_stopping > 0).then(|| best.clone());
            self.writer.file(BEST, best);
        }
        self.history.push(epoch);
        self.draw();
        self.save()?;
        Ok((self.tell)(Event::Epoch(&self.history[number - 1], self.trainer)))
    }

    /// Writes the figures of the epochs so far.
    fn draw(&mut self) {
        let files = (self.figures.after_epoch)(self.trainer.config(), &self.history);
        files.into_iter().for_each(|(name, bytes)| self.writer.file(&name, bytes));
    }

    /// A checkpoint of this very moment.
    fn save(&mut self) -> Result<()> {
        self.writer.file(LAST, checkpoint::last(self.trainer, &self.early)?);
        self.saved = Instant::now();
        self.warn();
        Ok(())
    }

    fn warn(&mut self) {
        if let Some(words) = self.writer.warning() {
            (self.tell)(Event::Warning(words));
        }
    }

    /// Pictures and what the test images say, by the weights that are to be kept.
    fn end(&mut self, outcome: Outcome) -> Result<()> {
        if outcome != Outcome::Interrupted {
            if let Some(best) = self.best.take().filter(|_| self.trainer.config().train.early_stopping > 0) {
                self.trainer.load_final_weights(|model| checkpoint::fill(model, &best, Path::new(BEST)))?;
            }
            self.draw();
        }
        let epoch = if let Outcome::Stopped { best, .. } = outcome { best } else { self.history.len() };
        let predictor = self.trainer.predictor();
        let files = (self.figures.at_end)(&predictor, &self.trainer.dataset, epoch)?;
        files.into_iter().for_each(|(name, bytes)| self.writer.file(&name, bytes));
        if let Some(table) = block_on(predictor.confusion(&self.trainer.dataset.test))? {
            self.writer.file("confusion.csv", table.csv().into_bytes());
            (self.tell)(Event::Tested(format!("on the test images: {table}")));
        }
        drop(predictor);
        self.warn();
        Ok(())
    }
}

/// What to try when the KL vanishes.
pub fn hint_against_collapse(loss: &Loss) -> String {
    let weights = match (loss.kind, loss.schedule) {
        (LossKind::Weighted, _) => "a smaller loss.k2",
        (LossKind::Tc, _) => "smaller loss.alpha, loss.beta and loss.gamma",
        (LossKind::Beta, KlScheduleKind::Capacity) => "a larger loss.capacity",
        (LossKind::Beta, _) => "a smaller loss.beta",
    };
    let sums = if loss.reduction == Reduction::Mean { "loss.reduction = \"sum\", " } else { "" };
    let slowly = if loss.schedule == KlScheduleKind::Constant { "loss.schedule = \"linear\", " } else { "" };
    format!("{sums}{weights}, {slowly}or another seed")
}

/// Where the last good weights are, for somebody whose run diverged or whose device failed.
fn kept(error: Error, last: &Path) -> Error {
    let there = |what: &str| format!("{what}; the last good weights are in {}", last.display());
    match error {
        Error::Diverged(what) if last.exists() => Error::Diverged(there(&what)),
        Error::Device(tensor::Error::Device { device, what }) if last.exists() => {
            Error::Device(tensor::Error::Device { device, what: there(&what) })
        }
        error => error,
    }
}

fn config_file(trainer: &Trainer) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{CONFIG_HEAD} {version} with every key. Repeat it with: train --recipe <this file>\n\n{}",
        trainer.config().to_toml()
    )
}

/// What is trained, in a line: images, model and losses.
pub fn describe(config: &Config) -> String {
    let told = format!("{} · {} · {}", config.data.kind, config.model.words(), config.loss_words());
    match config.model.is_vae() {
        true => format!("{told}, effective β = {}", config.effective_beta()),
        false => told,
    }
}

/// What its total is measured in.
pub fn loss_unit(config: &Config) -> &'static str {
    match config.loss.reduction {
        Reduction::Sum => "nats per image",
        Reduction::Mean => "loss (means)",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vae_core::config::Settings;
    use vae_core::data::Dataset;
    use vae_core::model::build;

    use super::*;

    #[test]
    fn early_stopping_keeps_the_best_weights() {
        // A step this large spoils the weights again soon.
        let mut settings = Settings::default();
        for setting in [
            "model.width=2",
            "model.z_dim=3",
            "data.image_size=16",
            "data.limit=64",
            "train.batch_size=32",
            "train.epochs=60",
            "train.learning_rate=0.3",
            "train.early_stopping=2",
        ] {
            settings.assignment(setting).unwrap();
        }
        let config = settings.resolve().unwrap();
        let dataset = Dataset::built_in(&config).unwrap();
        let model = build(&config);
        let mut trainer = Trainer::new(config, dataset, model, tensor::Device::Cpu);
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let mut losses = Vec::new();
        let outcome = run(&mut trainer, &mut folder, None, RunFigures::NONE, &mut |event| {
            if let Event::Epoch(epoch, _) = event {
                losses.push(epoch.validation.losses.total);
            }
            true
        });
        let Outcome::Stopped { after, best } = outcome.unwrap() else { panic!("{losses:?}") };
        assert_eq!((after, losses.len()), (best + 2, after), "{losses:?}");
        assert_eq!(block_on(trainer.validate()).unwrap().losses.total, losses[best - 1]);
        let [best, last] =
            ["best", "last"].map(|name| fs::read(dir.path().join(format!("checkpoints/{name}.safetensors"))).unwrap());
        assert_ne!(best, last);
    }
}
