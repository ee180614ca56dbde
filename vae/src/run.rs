//! A run in its folder: every epoch a line in `metrics.jsonl`, checkpoints and curves; at the end the pictures. One that was
//! interrupted in any way goes on from its last checkpoint ([`Past`]) as if nothing had happened.

mod folder;
mod keeper;
mod past;
mod timings;

use std::path::Path;
use std::time::{Duration, Instant};

use nn::Module;
use pollster::block_on;

use crate::checkpoint;
use crate::config::{Config, KlScheduleKind, Loss, LossKind, Reduction};
use crate::error::{Error, Result};
use crate::figure::curves;
use crate::gallery;
use crate::train::{EarlyStopping, Epoch, Progress, Trainer, Verdict};

pub use folder::Folder;
use keeper::Keeper;
pub use past::{Past, history};
pub use timings::{EpochTiming, Timings};

/// The files of a run that are read again.
const METRICS: &str = "metrics.jsonl";
const STEPS: &str = "steps.jsonl";
const TIMING: &str = "timing.json";
pub(crate) const BEST: &str = "checkpoints/best.safetensors";
/// What a run goes on from.
pub const LAST: &str = "checkpoints/last.safetensors";

/// How the configuration that a run leaves begins.
const CONFIG_HEAD: &str = "# A run of train";

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
    past: Option<Past>,
    tell: &mut dyn FnMut(Event) -> bool,
) -> Result<Outcome> {
    folder.write("config.toml", config_file(trainer).as_bytes())?;
    let last = folder.path().join(LAST);
    let patience = trainer.config.train.early_stopping;
    let (early, history, best) = (EarlyStopping::new(patience), Vec::new(), None);
    let (keeper, saved) = (Keeper::new(folder), Instant::now());
    let timings = Timings::new(trainer.device().name());
    let mut run = Run { trainer, keeper, early, history, timings, best, tell, saved };
    run.begin(past)?;
    let outcome = run.train().map_err(|error| kept(error, &last))?;
    run.end(outcome)?;
    run.keeper.finish()?;
    Ok(outcome)
}

/// A run that goes on.
struct Run<'a> {
    trainer: &'a mut Trainer,
    keeper: Keeper<'a>,
    early: EarlyStopping,
    history: Vec<Epoch>,
    timings: Timings,
    /// The best checkpoint, if early stopping will want it.
    best: Option<Vec<u8>>,
    tell: &'a mut dyn FnMut(Event) -> bool,
    /// When the last checkpoint was written.
    saved: Instant,
}

impl Run<'_> {
    /// Goes to where the run stood, or writes the checkpoint of its beginning.
    fn begin(&mut self, past: Option<Past>) -> Result<()> {
        let Some(past) = past else { return self.save() };
        past.restore(self.trainer)?;
        self.early = past.early(&self.trainer.config);
        self.keeper.go_on(METRICS, past.metrics)?;
        self.keeper.go_on(STEPS, past.steps)?;
        self.timings.go_on(self.keeper.folder(), past.history.len());
        (self.history, self.best) = (past.history, past.best);
        Ok(())
    }

    /// Every epoch that is left.
    fn train(&mut self) -> Result<Outcome> {
        let epochs = self.trainer.config.train.epochs;
        loop {
            let (done, standing) = (self.history.len(), self.trainer.standing());
            if standing.step == 0 && self.early.is_over(done) {
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
        let train = &self.trainer.config.train;
        let (log, minutes) = (train.log_steps, train.checkpoint_minutes);
        let pause = Some(minutes).filter(|&minutes| minutes > 0.0);
        let pause = pause.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
        let learning_rate = self.trainer.learning_rate(number); // validation may lower it for the next
        let (start, mut images) = (Instant::now(), 0);
        let _ = self.trainer.timing(); // of an epoch that was given up
        let train = loop {
            let mut stop = false;
            let Run { trainer, keeper, tell, saved, .. } = self;
            let train = block_on(trainer.epoch(number, &mut |progress| {
                images += progress.images;
                if log > 0 && progress.number().is_multiple_of(log) {
                    keeper.line(STEPS, &progress.json().to_string());
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
        self.keeper.line(METRICS, &epoch.json().to_string());
        self.keeper.file(TIMING, self.timings.json());
        let collapsed = |epoch: &Epoch| epoch.train.part("kl").filter(|&kl| kl < 0.1);
        if let Some(kl) = collapsed(&epoch)
            && self.history.iter().all(|before| collapsed(before).is_none())
        {
            (self.tell)(Event::Warning(format!(
                "the KL of epoch {number} is {kl:.3} nats: the posterior has collapsed onto the prior and the latents \
                 say nothing; try {}",
                against_collapse(&self.trainer.config.loss)
            )));
        }
        if self.early.observe(number, epoch.validation.losses.total) == Verdict::Best {
            let best = checkpoint::best(self.trainer, &self.early)?;
            self.best = (self.trainer.config.train.early_stopping > 0).then(|| best.clone());
            self.keeper.file(BEST, best);
        }
        self.history.push(epoch);
        self.draw();
        self.save()?;
        Ok((self.tell)(Event::Epoch(&self.history[number - 1], self.trainer)))
    }

    fn draw(&mut self) {
        let config = &self.trainer.config;
        let title = format!("{}, epoch {}: {}", config.name, self.history.len(), words(config));
        let plot = curves(&title, &self.history, unit(config));
        self.keeper.file("curves.png", plot.png());
        self.keeper.file("curves.svg", plot.svg().into_bytes());
    }

    /// A checkpoint of this very moment.
    fn save(&mut self) -> Result<()> {
        self.keeper.file(LAST, checkpoint::last(self.trainer, &self.early)?);
        self.saved = Instant::now();
        self.warn();
        Ok(())
    }

    fn warn(&mut self) {
        if let Some(words) = self.keeper.warning() {
            (self.tell)(Event::Warning(words));
        }
    }

    /// Pictures and what the test images say, by the weights that are to be kept.
    fn end(&mut self, outcome: Outcome) -> Result<()> {
        if outcome != Outcome::Interrupted {
            if let Some(best) = self.best.take().filter(|_| self.trainer.config.train.early_stopping > 0) {
                self.trainer.settle_on(|model| checkpoint::fill(model, &best, Path::new(BEST)))?;
            }
            self.draw();
        }
        self.pictures(outcome)?;
        if let Some(table) = block_on(self.trainer.confusion(&self.trainer.dataset.test))? {
            self.keeper.file("confusion.csv", table.csv().into_bytes());
            (self.tell)(Event::Tested(format!("on the test images: {table}")));
        }
        self.warn();
        Ok(())
    }
}

impl Run<'_> {
    /// `reconstructions.png` and `samples.png`, of what gives images.
    fn pictures(&mut self, outcome: Outcome) -> Result<()> {
        let epoch = if let Outcome::Stopped { best, .. } = outcome { best } else { self.history.len() };
        let title = format!("{}, epoch {epoch}", self.trainer.config.name);
        let reconstructions =
            gallery::reconstructions::draw(&title, self.trainer, &[], gallery::reconstructions::COUNT);
        for drawn in [reconstructions, gallery::samples::draw(&title, self.trainer)] {
            match drawn {
                Ok(drawing) => {
                    drawing.files().into_iter().for_each(|(name, bytes)| self.keeper.file(&name, bytes.to_vec()));
                }
                Err(Error::Config(_)) => {} // not for this model
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What to try when the KL vanishes.
pub(crate) fn against_collapse(loss: &Loss) -> String {
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

/// The bytes of a file of weights; if it is a checkpoint of ours, its checksum holds.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(checkpoint::file(path)?.0)
}

/// Fills a model with the weights of a checkpoint.
///
/// # Errors
/// If the file cannot be read, is no checkpoint, or is another model's: every tensor that does not fit, by name.
pub fn load(model: &dyn Module, path: &Path) -> Result<()> {
    checkpoint::fill(model, &read(path)?, path)
}

fn config_file(trainer: &Trainer) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "{CONFIG_HEAD} {version}, every key resolved. Again: train --recipe <this file>\n\n{}",
        trainer.config.to_toml()
    )
}

/// What is trained, in a line: images, model and losses.
pub(crate) fn words(config: &Config) -> String {
    let told = format!("{} · {} · {}", config.data.kind, config.model.words(), config.loss_words());
    match config.model.is_vae() {
        true => format!("{told}, effective β = {}", crate::objective::effective_beta(config)),
        false => told,
    }
}

/// What its total is measured in.
pub(crate) fn unit(config: &Config) -> &'static str {
    match config.loss.reduction {
        Reduction::Sum => "nats an image",
        Reduction::Mean => "loss (means)",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Settings;
    use crate::data::Dataset;
    use crate::model::build;

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
        let dataset = Dataset::load(&config).unwrap();
        let model = build(&config);
        let mut trainer = Trainer::new(config, dataset, model, tensor::Device::Cpu);
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let mut losses = Vec::new();
        let outcome = run(&mut trainer, &mut folder, None, &mut |event| {
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
