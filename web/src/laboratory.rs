//! A model in training, as a page uses it: it trains for a short while, and then answers questions.

use std::sync::Arc;

use nn::{Module, Slot};
use tensor::{Device, Tensor};
use vae_core::config::{Config, DataKind, KlScheduleKind, LossKind, Reduction, Settings, split_sizes};
use vae_core::data::{Dataset, Images, Split, random_split};
use vae_core::learn::{self, LayerRow, Learner, Summary};
use vae_core::random::Purpose;
use vae_core::train::{EarlyStopping, Trainer};
use vae_core::{Error, Result};
use vae_run::checkpoint;
use vae_run::dataset_record::{DatasetRecord, ImageHashes};

use crate::exploration::named;

/// The most steps whose losses stay on a GPU before they are read.
const MOST_TOGETHER: usize = 16;

/// How long these steps may take, in milliseconds. The page shows nothing new and answers no request before they are read.
const TOGETHER: f64 = 100.0;

/// Grey pictures of the visitor's own, all of one size.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// The pixels, row by row and picture after picture; 0 is black.
    pub pixels: Vec<u8>,
    /// The label of each picture.
    pub labels: Vec<u8>,
    /// Width and height.
    pub side: usize,
    /// The names of the labels.
    pub names: Vec<String>,
}

/// What a model is built from.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Keys with their values, such as `loss.beta=4`.
    pub settings: Vec<String>,
    /// Pictures to train on, instead of those of `data.kind`.
    pub pictures: Option<Pictures>,
    /// A checkpoint. It brings its own configuration, and `settings` may change keys of `loss` and `train`.
    pub run: Option<Vec<u8>>,
}

/// A model in training.
pub struct Laboratory {
    pub(crate) trainer: Trainer,
    gpu: Option<Arc<gpu::Context>>,
    /// The current epoch, counted from 1.
    epoch: usize,
    /// The images that were trained on.
    images: usize,
    /// Step, total loss, reconstruction and KL of each step since [`Laboratory::take_losses`].
    losses: Vec<[f32; 4]>,
    /// The steps whose losses a GPU keeps before they are read.
    together: usize,
}

/// What a page says about a model.
#[derive(Clone, Debug)]
pub struct About {
    /// All keys that differ from their defaults.
    pub settings: Vec<(String, String)>,
    /// The whole configuration.
    pub toml: String,
    /// The number of parameters.
    pub parameters: usize,
    /// The layers in order.
    pub layers: Vec<LayerRow>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The number of latents.
    pub latents: usize,
    /// The names of the labels.
    pub classes: Vec<String>,
    /// The numbers of training, validation and test images.
    pub images: [usize; 3],
    /// The steps of an epoch.
    pub steps_per_epoch: usize,
    /// The images of a step.
    pub batch_size: usize,
    /// The weight of the KL.
    pub beta: f64,
    /// Whether the loss is reconstruction + β·KL, with the same β in every step. A loaded run may have another one.
    pub is_beta_loss: bool,
    /// Adam's learning rate.
    pub learning_rate: f64,
}

/// How far training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// The steps in it so far.
    pub step: usize,
    /// All steps so far.
    pub steps: u64,
    /// The images that were trained on, counted once for each time.
    pub images: usize,
}

impl Laboratory {
    /// Builds a model. With `gpu` it is trained there, else on the CPU. `watch` is called with the number of compiled kernels and of
    /// all kernels.
    ///
    /// # Errors
    /// If a setting is wrong, the images do not fit, the checkpoint is damaged, or the device fails.
    pub async fn start(
        start: Start,
        gpu: Option<Arc<gpu::Context>>,
        watch: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Laboratory> {
        let loaded = start.run.as_deref().map(|bytes| Ok::<_, Error>((bytes, run_config(bytes)?))).transpose()?;
        let config = match &loaded {
            Some((_, config)) => configure(config.clone(), &start.settings)?,
            None => resolve(&start.settings)?,
        };
        if !config.model.is_vae() || config.model.has_codes() {
            return Err(Error::config(format!(
                "model.kind = \"{}\" has no latents with a mean and a variance, which this page shows",
                config.model.kind
            )));
        }
        let (config, dataset) = dataset(config, start.pictures)?;
        let learner = learn::build(&config);
        if let Some((bytes, _)) = &loaded {
            nn::state::load(&*learner, bytes).await.map_err(|error| Error::config(format!("this file: {error}")))?;
        }
        let device = match &gpu {
            None => Device::Cpu,
            Some(gpu) => {
                compile(&config, &dataset, gpu, watch).await;
                Device::Gpu(gpu.clone())
            }
        };
        let together = 1; // until it is known how long a step takes
        let trainer = trainer(config, dataset, learner, device, together);
        Ok(Laboratory { trainer, gpu, epoch: 1, images: 0, losses: Vec::new(), together })
    }

    /// Trains until `enough` returns true, which is called after each step, or on a GPU after each group of steps.
    ///
    /// # Errors
    /// If the device fails, or the loss or a gradient is not finite.
    pub async fn train(&mut self, enough: &mut dyn FnMut() -> bool) -> Result<()> {
        let mut done = false;
        while !done {
            let (images, losses, mut step) = (&mut self.images, &mut self.losses, self.trainer.steps());
            let mut watch = |progress: &vae_core::train::Progress| {
                *images += progress.images;
                step += 1;
                let part = |name| progress.losses.part(name).unwrap_or(f64::NAN) as f32;
                losses.push([step as f32, progress.losses.total as f32, part("reconstruction"), part("kl")]);
                done |= enough();
                !done
            };
            if self.trainer.epoch(self.epoch, &mut watch).await?.is_some() {
                self.epoch += 1;
            }
        }
        Ok(())
    }

    /// Trains one step.
    ///
    /// # Errors
    /// As [`Laboratory::train`].
    pub async fn train_one_step(&mut self) -> Result<()> {
        self.trainer.read_every(1);
        let trained = self.train(&mut || true).await;
        self.trainer.read_every(self.together);
        trained
    }

    /// Chooses how many steps are read together from the time that the last ones took.
    pub fn adapt_reading(&mut self, steps: u64, milliseconds: f64) {
        let together = steps_together(steps, milliseconds);
        if together != self.together {
            self.together = together;
            self.trainer.read_every(together);
        }
    }

    /// Changes keys of `loss` and `train`, and keeps weights, optimiser and position. β may be negative: that is the KL with the
    /// wrong sign, which the page lets its visitors try.
    ///
    /// # Errors
    /// If a key is not one of these, or a value is wrong.
    pub fn change(&mut self, settings: &[String]) -> Result<()> {
        let config = configure(self.trainer.config().clone(), settings)?;
        let learner = learn::build(&config);
        let device = self.trainer.device().clone();
        let mut trainer = trainer(config, self.trainer.dataset.clone(), learner, device, self.together);
        copy_tensors(self.trainer.model(), trainer.model())?;
        trainer.restore_state(self.trainer.state(), &self.trainer.optimiser_tensors());
        self.trainer = trainer;
        Ok(())
    }

    /// Describes the model.
    pub fn about(&self) -> About {
        let (config, data) = (self.trainer.config(), &self.trainer.dataset);
        let defaults = Config::default().leaves();
        let settings = config.leaves().into_iter().filter(|leaf| !defaults.contains(leaf));
        let summary = Summary::new(config, self.trainer.model());
        let classes = data.train.images();
        let name = |label: usize| classes.class_names().get(label).cloned().unwrap_or_else(|| label.to_string());
        About {
            settings: settings.map(|(key, value)| (key, value.trim_matches('"').to_owned())).collect(),
            toml: config.to_toml(),
            parameters: summary.parameters,
            layers: summary.layers,
            shape: data.transform.shape(),
            latents: config.model.z_dim,
            classes: (0..classes.classes()).map(name).collect(),
            images: [&data.train, &data.validation, &data.test].map(Split::count),
            steps_per_epoch: self.trainer.steps_per_epoch(),
            batch_size: config.images_per_step(),
            beta: config.loss_weights()[1],
            is_beta_loss: config.loss.kind == LossKind::Beta
                && config.loss.schedule == KlScheduleKind::Constant
                && config.loss.reduction == Reduction::Sum,
            learning_rate: config.train.learning_rate,
        }
    }

    /// Returns how far training is.
    pub fn position(&self) -> Position {
        let state = self.trainer.state();
        Position { epoch: state.epoch, step: state.step, steps: self.trainer.steps(), images: self.images }
    }

    /// Returns step, total loss, reconstruction and KL of each step since the last call, one after the other, and at most `most`
    /// steps, evenly chosen.
    pub fn take_losses(&mut self, most: usize) -> Vec<f32> {
        let all = std::mem::take(&mut self.losses);
        let every = all.len().div_ceil(most.max(1)).max(1);
        all.into_iter().rev().step_by(every).collect::<Vec<_>>().into_iter().rev().flatten().collect()
    }

    /// Returns a checkpoint, which `vae` reads.
    ///
    /// # Errors
    /// If a weight is not finite, if β is negative, which no configuration may have, or if the device fails.
    pub async fn save(&self) -> Result<Vec<u8>> {
        let beta = self.trainer.config().loss.beta;
        if beta < 0.0 {
            let what =
                format!("β = {beta} is an experiment of this page, and no file can have it; set β to 0 or more first");
            return Err(Error::config(what));
        }
        let dataset = &self.trainer.dataset;
        let record = DatasetRecord::new(self.trainer.config(), dataset, &ImageHashes::of(dataset)?);
        checkpoint::last(&self.trainer, &record, &EarlyStopping::new(0)).await
    }

    /// Returns the GPU that computes, or `None` for the CPU.
    pub fn gpu(&self) -> Option<&gpu::Context> {
        self.gpu.as_deref()
    }
}

/// How many steps take about [`TOGETHER`], if this many took so long. A power of two, so that it rarely changes.
fn steps_together(steps: u64, milliseconds: f64) -> usize {
    let fit = (TOGETHER * steps as f64 / milliseconds.max(1.0)).clamp(1.0, MOST_TOGETHER as f64);
    1 << (fit as usize).ilog2()
}

/// A trainer that reads the losses of this many steps together.
fn trainer(config: Config, dataset: Dataset, learner: Box<dyn Learner>, device: Device, together: usize) -> Trainer {
    let mut trainer = Trainer::from_learner(config, dataset, learner, device);
    trainer.read_every(together);
    trainer
}

/// The configuration of a new model. Training goes on until the visitor stops it.
fn resolve(settings: &[String]) -> Result<Config> {
    let mut all = Settings::default();
    settings.iter().try_for_each(|setting| all.assignment(setting))?;
    let config = all.resolve()?;
    config.check()?;
    Ok(config)
}

/// A configuration with other keys of `loss` and `train`.
fn configure(config: Config, changes: &[String]) -> Result<Config> {
    let mut all = Settings::default();
    all.file(&config.to_toml(), "the model")?;
    let mut beta = None;
    for change in changes {
        match (change.split_once('='), change.split('.').next()) {
            (Some(("loss.beta", value)), _) => {
                let number: Option<f64> = value.parse().ok().filter(|number: &f64| number.is_finite());
                beta = Some(number.ok_or_else(|| Error::config(format!("loss.beta = {value} is not a number")))?);
            }
            (Some(("train.batch_size" | "train.accumulate" | "train.shards", _)), _) => {
                return Err(Error::config(format!("{change}: the size of a step is chosen when a model starts")));
            }
            (_, Some("loss" | "train")) => all.assignment(change)?,
            _ => {
                return Err(Error::config(format!(
                    "{change}: only keys of loss and train change while a model trains; start a new one for this"
                )));
            }
        }
    }
    let mut config = all.resolve()?;
    config.loss.beta = beta.map_or(config.loss.beta, |beta| beta.max(0.0));
    config.check()?;
    config.loss.beta = beta.unwrap_or(config.loss.beta);
    Ok(config)
}

/// The configuration of a checkpoint.
fn run_config(bytes: &[u8]) -> Result<Config> {
    let meta = checkpoint::meta(bytes).map_err(|what| Error::config(format!("this file {what}")))?;
    let meta = meta.ok_or_else(|| {
        Error::config("this file is no checkpoint of vae: choose best.safetensors or last.safetensors of a run")
    })?;
    meta.config("this file".as_ref())
}

/// The images of a configuration, and the configuration that they have. Where the files of a checkpoint's images are missing, digits
/// or shapes of the same size take their place.
fn dataset(mut config: Config, pictures: Option<Pictures>) -> Result<(Config, Dataset)> {
    if let Some(pictures) = pictures {
        let splits = own_pictures(&config, pictures)?;
        config.data.kind = DataKind::Folder;
        let dataset = Dataset::new(&config, splits)?;
        return Ok((config, dataset));
    }
    if !matches!(config.data.kind, DataKind::Digits | DataKind::Shapes) {
        config.data.kind = if config.channels() == 1 { DataKind::Digits } else { DataKind::Shapes };
        (config.data.crop, config.data.classes) = (None, None);
        config.check()?;
    }
    let dataset = Dataset::built_in(&config)?;
    Ok((config, dataset))
}

/// The splits of a visitor's pictures.
fn own_pictures(config: &Config, pictures: Pictures) -> Result<[Split; 3]> {
    let Pictures { pixels, labels, side, names } = pictures;
    if side == 0 || labels.is_empty() || pixels.len() != labels.len() * side * side {
        let found = pixels.len();
        return Err(Error::config(format!(
            "{} pictures of {side} × {side} pixels were expected, and {found} bytes came",
            labels.len()
        )));
    }
    let labels = labels.into_iter().map(u16::from).collect();
    let images = Arc::new(named(Images::new(pixels, labels, 1, [side, side]), names)?);
    let counts = split_sizes(images.count());
    Ok(random_split(images, counts, &mut Purpose::Split.stream(config.seed, 0)))
}

/// Gives the tensors of one model the values of another with the same tensors.
fn copy_tensors(from: &dyn Module, to: &dyn Module) -> Result<()> {
    let mut values = Vec::new();
    nn::visit(from, |name, slot| values.push((name.to_owned(), value(slot))));
    let mut wrong = None;
    nn::visit(to, |name, slot| match values.iter().find(|(known, _)| known == name) {
        Some((_, tensor)) if tensor.shape() == value(slot).shape() => match slot {
            Slot::Param(param) => param.set(tensor.clone()),
            Slot::Buffer(buffer) => buffer.set(tensor.clone()),
        },
        _ => wrong = Some(name.to_owned()),
    });
    match wrong {
        // For example a variance that is learned from now on keeps its first value.
        Some(name) if !name.starts_with("objective") => {
            Err(Error::config(format!("{name} is not in the model so far; start a new one for this change")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn value(slot: Slot) -> Tensor {
    match slot {
        Slot::Param(param) => param.value(),
        Slot::Buffer(buffer) => buffer.value(),
    }
}

/// Compiles the kernels of a step and of what the page shows. They run on a device that computes nothing and records launches.
async fn compile(config: &Config, dataset: &Dataset, gpu: &gpu::Context, watch: &(dyn Fn(usize, usize) + Sync)) {
    use tensor::Accelerator as _;
    let recorder = Arc::new(gpu::Recorder::new(gpu.limits()));
    let device = Device::Gpu(recorder.clone());
    let mut trainer = Trainer::from_learner(config.clone(), dataset.clone(), learn::build(config), device);
    let places = dataset.train.first(config.images_per_step());
    for _ in 0..2 {
        let _ = trainer.step(&places, 0.0).await; // the first also creates the state of the optimiser
    }
    let test = dataset.test.first(config.train.batch_size);
    let _ = trainer.predictor().encode(&dataset.test, &test).await;
    let _ = trainer.predictor().decode(&Tensor::zeros([test.len(), config.model.z_dim]), &vec![0; test.len()]).await;
    gpu.compile(&recorder.take(), watch).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_are_read_together_as_a_visitor_can_wait_for() {
        let together = [(1, 60_000.0), (1, 99.0), (10, 200.0), (10, 130.0), (40, 60.0), (1, 0.0), (0, 60.0)];
        let together = together.map(|(steps, milliseconds)| steps_together(steps, milliseconds));
        assert_eq!(together, [1, 1, 4, 4, 16, 16, 1]);
    }
}
