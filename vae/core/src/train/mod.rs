//! Training, from the inside out: [`Trainer::step`] is one batch, [`Trainer::epoch`] one pass over the images,
//! [`Trainer::validate`] what the epoch is judged by. What is trained is a [`Learner`]: see `learn`. Files and clocks are
//! the caller's: see `run`.
//!
//! On a GPU no step waits for another: what a step's losses and gradients came to stays there (`tensor::GradientMonitor`), and the host
//! looks at many steps at once. A step whose numbers are not finite moves no parameter, nor does any after it, so that it can
//! be repeated, and what went wrong in it named.
//!
//! Every number here is a function of the configuration: the order of images comes from (seed, epoch), noise from
//! (seed, step) or (seed, image), and sums over images are taken in f64, in the order of the images.

mod early_stopping;
mod fault;
mod metrics;
mod timing;
mod trainer_state;

use std::ops::Deref;

use autograd::Param;
use nn::optim::{Adam, AdamConfig, Ema, Plateau, Schedule, SwappedIn};
use nn::{ForwardContext, Module, Trace};
use tensor::{Device, GradientMonitor, Tensor};

use crate::config::{Config, ScheduleKind};
use crate::data::{Dataset, Prepared, batches, order};
use crate::error::{Error, Result};
use crate::learn::{Autoencoder, Batch, Forward, Learner};
use crate::model::Vae;
use crate::objective::{Losses, Outline, ScheduleContext};
use crate::predict::{Predictor, Validation};
use crate::random::Purpose;

pub use early_stopping::{EarlyStopping, Verdict};
pub use fault::Fault;
pub use metrics::{Epoch, Progress};
use timing::Clock;
pub use timing::Timing;
pub use trainer_state::{ModelAndOptimiser, TrainerState};

/// Steps whose losses a GPU keeps before the host reads them.
const WAITING: usize = 16;

/// A model in training: what is minimised, over what, and how far it has come.
pub struct Trainer {
    /// The images.
    pub dataset: Dataset,
    predictor: Predictor,
    params: Vec<(String, Param)>,
    adam: Adam,
    ema: Option<Ema>,
    monitor: GradientMonitor,
    schedule: Schedule,
    steps: u64,
    /// The pass over the images that is under way: how they are augmented depends on it.
    epoch: usize,
    /// Its steps so far, and the sums of their losses over images.
    done: usize,
    sums: Losses,
    clock: Clock,
    fault: Option<Fault>,
}

/// A step whose numbers were not looked at yet: its images, and what its numbers are.
type Waiting<'a> = (&'a [usize], Outline);

/// Every `async` method waits for the device. Its error is that of the device, or of an image that cannot be read.
impl Trainer {
    /// Before the first step of a VAE, on a device: the model moves there.
    pub fn new(config: Config, dataset: Dataset, model: Box<dyn Vae>, device: Device) -> Trainer {
        let model = Box::new(Autoencoder::new(&config, model));
        Trainer::from_learner(config, dataset, model, device)
    }

    /// Before the first step of anything that can be trained, on a device: the model moves there.
    pub fn from_learner(config: Config, dataset: Dataset, model: Box<dyn Learner>, device: Device) -> Trainer {
        let train = &config.train;
        let adam = AdamConfig {
            beta1: train.beta1,
            beta2: train.beta2,
            weight_decay: train.weight_decay,
            ..AdamConfig::default()
        };
        let schedule = match train.schedule {
            ScheduleKind::Constant => Schedule::Constant,
            ScheduleKind::Linear => Schedule::Linear,
            ScheduleKind::Cosine => Schedule::Cosine,
            // Ours counts the epochs waited for, PyTorch's those forgiven.
            ScheduleKind::Plateau => Schedule::Plateau(Plateau::new(0.1, train.plateau_patience - 1)),
        };
        let waiting = match &device {
            // A CPU that acts as a GPU gains nothing from steps that wait, and its user would wait for them.
            Device::Gpu(machine) if !machine.limits().software => WAITING,
            _ => 1,
        };
        let monitor = GradientMonitor::new(waiting, &device);
        let ema_decay = Some(train.ema).filter(|&decay| decay > 0.0);
        let predictor = Predictor::new(config, model, dataset.transform.clone(), device); // moves the model to the device
        let params = nn::parameters(&*predictor.model);
        let ema = ema_decay.map(|decay| Ema::new(decay, &params));
        let (adam, sums) = (Adam::new(adam), Losses::default());
        Trainer {
            dataset,
            predictor,
            params,
            adam,
            ema,
            monitor,
            schedule,
            steps: 0,
            epoch: 0,
            done: 0,
            sums,
            clock: Clock::default(),
            fault: None,
        }
    }

    /// Spoils a step on purpose, to see what comes of it.
    pub fn inject(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// One step: the images in these places of the training split, forward, backward, Adam. Returns the batch's losses.
    ///
    /// # Errors
    /// If an image cannot be read, the device fails, or the loss or a gradient is not finite: the first tensor that is not.
    pub async fn step(&mut self, places: &[usize], learning_rate: f64) -> Result<Losses> {
        let images = self.dataset.training_batch(self.epoch, places)?;
        self.clock.start();
        let outline = self.begin(0, &images, learning_rate).await?;
        let (mut losses, error) = self.collect_losses(&[(places, outline)]).await?;
        error.map_or_else(|| Ok(losses.remove(0)), Err)
    }

    /// Starts a step, whose losses will be found at `row` of the guard's history: what is returned says which they are.
    /// Waits for nothing that it computes.
    async fn begin(&mut self, row: usize, images: &Prepared, learning_rate: f64) -> Result<Outline> {
        let terms = self.forward(self.steps, images, None).terms;
        self.steps += 1;
        self.clock.lap(|timing| &mut timing.forward);
        let mut gradients = terms.total.backward();
        self.clock.lap(|timing| &mut timing.backward);
        let all: Vec<&Tensor> = self.params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
        let limit = Some(self.config().train.clip).filter(|&clip| clip > 0.0);
        self.monitor.observe(row, &all, &terms.watched(), limit.map(|clip| clip as f32));
        self.adam.step(&self.params, &mut gradients, learning_rate, &self.monitor);
        self.ema.iter_mut().for_each(Ema::update);
        if let Device::Gpu(machine) = self.device() {
            machine.end_step().await?;
        }
        self.clock.lap(|timing| &mut timing.optimiser);
        Ok(terms.outline())
    }

    /// The forward pass of step number `step`, noted by `trace` if given.
    fn forward(&self, step: u64, images: &Prepared, trace: Option<&Trace>) -> Forward {
        let seed = self.config().seed;
        let count = self.dataset.train.count();
        let steps = count.div_ceil(self.config().train.batch_size);
        let schedule = ScheduleContext { epochs: step as f64 / steps as f64, images: count };
        let [x, target] = images.upload(self.device());
        let mut batch = Batch::of_step(x, images.labels.clone(), schedule, seed, step);
        batch.target = target;
        let ctx = ForwardContext { trace, ..ForwardContext::train(Purpose::Dropout.seed(seed), step) };
        let forward = self.model().forward(&batch, &ctx);
        match self.fault {
            Some(fault) => fault.spoil(step + 1, forward, &self.params),
            None => forward,
        }
    }

    /// The losses of the latest steps, whose images these were; up to the first that was not finite, and what is to be said
    /// of that one.
    async fn collect_losses(&self, waiting: &[Waiting<'_>]) -> Result<(Vec<Losses>, Option<Error>)> {
        let mut losses = Vec::with_capacity(waiting.len());
        for (i, status) in self.monitor.read(waiting.len()).await?.iter().enumerate() {
            let (places, outline) = &waiting[i];
            if status.non_finite {
                let step = self.steps - (waiting.len() - i) as u64;
                let bad = self.first_bad(step, places).await?;
                return Ok((losses, Some(self.diverged(bad, step + 1))));
            }
            losses.push(outline.losses(&status.watched[1..])); // the first is the total in f32
        }
        Ok((losses, None))
    }

    /// One pass over the training images, or what is left of the one that is under way; `watch` sees every step and says
    /// whether to go on. None if it said no: the same call then goes on with the next step. On a GPU it is told of steps in
    /// groups, and a group ends before an answer counts. Epochs count from 1. The losses are means over the training images,
    /// taken while the weights moved.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub async fn epoch(&mut self, epoch: usize, watch: &mut dyn FnMut(&Progress) -> bool) -> Result<Option<Losses>> {
        self.clock.start();
        let places = order(self.config().seed, epoch, self.dataset.train.count());
        let learning_rate = self.learning_rate(epoch);
        let size = self.config().train.batch_size;
        if self.epoch != epoch {
            (self.epoch, self.done, self.sums) = (epoch, 0, Losses::default());
        }
        let steps = places.len().div_ceil(size);
        let left = &places[(self.done * size).min(places.len())..];
        let mut prepared = batches(&self.dataset, epoch, left, size)?;
        let batches: Vec<&[usize]> = left.chunks(size).collect();
        for together in batches.chunks(self.monitor.history()) {
            let mut waiting: Vec<Waiting> = Vec::with_capacity(together.len());
            for (row, (batch, images)) in together.iter().zip(&mut prepared).enumerate() {
                self.clock.lap(|timing| &mut timing.data);
                waiting.push((batch, self.begin(row, &images?, learning_rate).await?));
            }
            let (losses, error) = self.collect_losses(&waiting).await?;
            self.clock.lap(|timing| &mut timing.reading);
            let mut go_on = true;
            for (losses, batch) in losses.into_iter().zip(together) {
                self.done += 1;
                self.sums.add(&losses, batch.len());
                let (step, images) = (self.done, batch.len());
                go_on &= watch(&Progress { epoch, step, steps, images, losses, learning_rate });
            }
            match error {
                Some(error) => return Err(error),
                None if !go_on => return Ok(None),
                None => self.clock.start(), // telling is the caller's
            }
        }
        self.done = 0;
        Ok(Some(std::mem::take(&mut self.sums).mean(places.len())))
    }

    /// Where the time of steps has gone since this was last asked.
    pub fn timing(&mut self) -> Timing {
        std::mem::take(&mut self.clock.timing)
    }

    /// The run's configuration.
    pub fn config(&self) -> &Config {
        &self.predictor.config
    }

    /// The model that is trained, and its loss.
    pub fn model(&self) -> &dyn Learner {
        &*self.predictor.model
    }

    /// The device that computes.
    pub fn device(&self) -> &Device {
        self.predictor.device()
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Adam's step size in an epoch, counted from 1.
    pub fn learning_rate(&self, epoch: usize) -> f64 {
        self.schedule.rate(self.config().train.learning_rate, epoch - 1, self.config().train.epochs)
    }

    /// The losses of the validation images; see [`Predictor::evaluate`].
    pub async fn validate(&self) -> Result<Validation> {
        let split = &self.dataset.validation;
        self.predictor().evaluate(split, &split.first(usize::MAX)).await
    }

    /// The model in evaluation, with the averages of `train.ema` in its weights' place if there are any. While the result lives, the
    /// trainer cannot take a step.
    pub fn predictor(&self) -> AveragedPredictor<'_> {
        AveragedPredictor { predictor: &self.predictor, _averages: self.ema.as_ref().map(Ema::swap_in) }
    }

    /// Ends an epoch: its validation loss may lower the next learning rates.
    pub fn observe(&mut self, validation: f64) {
        self.schedule.observe(validation);
    }

    /// Lets `fill` replace the weights by those to keep, and drops the averages. Nothing should be trained after.
    ///
    /// # Errors
    /// That of `fill`.
    pub fn load_final_weights(&mut self, fill: impl FnOnce(&dyn Module) -> Result<()>) -> Result<()> {
        self.ema = None;
        fill(&*self.predictor.model)
    }

    /// The model with its current weights, and the images.
    pub fn into_parts(self) -> (Predictor, Dataset) {
        (self.predictor, self.dataset)
    }
}

/// A predictor whose model has the averages of its weights, as long as this lives.
pub struct AveragedPredictor<'a> {
    predictor: &'a Predictor,
    _averages: Option<SwappedIn<'a>>,
}

impl Deref for AveragedPredictor<'_> {
    type Target = Predictor;

    fn deref(&self) -> &Predictor {
        self.predictor
    }
}

#[cfg(test)]
mod tests;
