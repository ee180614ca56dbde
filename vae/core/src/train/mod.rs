//! Training. [`Trainer::step`] trains on one batch, [`Trainer::epoch`] on all training images once, and
//! [`Trainer::validate`] computes the losses of the validation images. A trainer trains any [`Learner`]. It reads and
//! writes no files.
//!
//! On a GPU, steps are submitted without waiting for their results. The losses and the finiteness of the gradients stay
//! on the device (`tensor::GradientMonitor`), and the host reads them for several steps at once. If the loss or a
//! gradient of a step is not finite, neither this step nor a later one changes any parameter. The step can therefore be
//! repeated to find the first tensor that is not finite.
//!
//! All results are functions of the configuration. The order of images depends on (seed, epoch), and noise on (seed,
//! step) or (seed, image). Sums over images are computed in f64, in the order of the images.

mod buckets;
mod early_stopping;
mod fault;
mod metrics;
mod precision;
mod shards;
mod timing;
mod together;
mod trainer_state;

use std::ops::Deref;
use std::rc::Rc;

use autograd::{Param, autocast};
use nn::optim::{Ema, Group, Optimizer, Plateau, Schedule, SwappedIn};
use nn::{ForwardContext, Module, Trace};
use tensor::{Device, Dtype, GradientMonitor, LossScale, Rule, Tensor};

use crate::config::{Config, ScheduleKind};
use crate::data::{Dataset, Prepared, batches, order};
use crate::distributed::{Communicator, threads};
use crate::error::{Error, Result};
use crate::learn::{Autoencoder, Batch, Forward, Learner};
use crate::model::Vae;
use crate::objective::{Losses, ScheduleContext, TermWeights};
use crate::predict::{Predictor, Validation};
use crate::random::Purpose;

pub use buckets::{Traffic, buckets};
pub use early_stopping::{EarlyStopping, Verdict};
pub use fault::Fault;
pub use metrics::{Epoch, Progress};
use precision::dtype;
use shards::{Division, StepSum};
use timing::Clock;
pub use timing::Timing;
use together::Worker;
pub use trainer_state::{ModelAndOptimiser, TrainerState};

/// The number of steps whose losses stay on a GPU before the host reads them.
const WAITING: usize = 16;

/// A model in training, with its data, optimiser and progress.
pub struct Trainer {
    /// The data set.
    pub dataset: Dataset,
    predictor: Predictor,
    params: Vec<(String, Param)>,
    adam: Optimizer,
    ema: Option<Ema>,
    monitor: GradientMonitor,
    /// The loss scale after the last step whose losses were read, if the run has one.
    loss_scale: Option<LossScale>,
    schedule: Schedule,
    steps: u64,
    /// The current epoch, counted from 1. The augmentation depends on it.
    epoch: usize,
    /// The number of steps in the current epoch so far, and the sums of their losses over images.
    done: usize,
    sums: Losses,
    clock: Clock,
    fault: Option<Fault>,
    /// The processes that share the shards of each step.
    communicator: Rc<dyn Communicator>,
    /// The images that this process has computed.
    trained: u64,
    /// Whether this process wants to stop, and whether all have been told that one does.
    wants_stop: bool,
    must_stop: bool,
    /// What this process has sent for its steps.
    traffic: Traffic,
    /// The threads that compute shards at the same time.
    workers: Vec<Worker>,
}

/// A step whose losses were not read yet: the positions of its images, and the names and weights of its losses.
type Waiting<'a> = (&'a [usize], TermWeights);

/// Every `async` method waits for the device. Its error is that of the device, or of an image that cannot be read.
impl Trainer {
    /// Creates a trainer of a VAE. The model is moved to the device.
    pub fn new(config: Config, dataset: Dataset, model: Box<dyn Vae>, device: Device) -> Trainer {
        let model = Box::new(Autoencoder::new(&config, model));
        Trainer::from_learner(config, dataset, model, device)
    }

    /// Creates a trainer of a learner. The model is moved to the device.
    pub fn from_learner(config: Config, dataset: Dataset, model: Box<dyn Learner>, device: Device) -> Trainer {
        let train = &config.train;
        let adam = Rule::Adam { beta1: train.beta1, beta2: train.beta2, eps: 1e-8, decoupled: false };
        let adam = Optimizer::new(adam, train.weight_decay);
        let adam = match config.loss.kind.has_discriminator() {
            true => adam.group(discriminator(config.loss.discriminator_rate / train.learning_rate)),
            false => adam,
        };
        let schedule = match train.schedule {
            ScheduleKind::Constant => Schedule::Constant,
            ScheduleKind::Linear => Schedule::Linear,
            ScheduleKind::Cosine => Schedule::Cosine,
            // `plateau_patience` counts the epochs until the rate is lowered, PyTorch's `patience` those without
            // effect.
            ScheduleKind::Plateau => Schedule::Plateau(Plateau::new(0.1, train.plateau_patience - 1)),
        };
        let waiting = match &device {
            // A software adapter does not compute in parallel with the host, so there is nothing to gain from delayed
            // reading.
            Device::Gpu(machine) if !machine.limits().software => WAITING,
            _ => 1,
        };
        let loss_scale = (dtype(&config, &device) == Dtype::F16).then(LossScale::default);
        let monitor = GradientMonitor::with_loss_scale(waiting, &device, loss_scale);
        let ema_decay = Some(train.ema).filter(|&decay| decay > 0.0);
        let predictor = Predictor::new(config, model, dataset.transform.clone(), device); // moves the model to the device
        let params = nn::parameters(&*predictor.model);
        let ema = ema_decay.map(|decay| Ema::new(decay, &*predictor.model));
        let sums = Losses::default();
        Trainer {
            dataset,
            predictor,
            params,
            adam,
            ema,
            monitor,
            loss_scale,
            schedule,
            steps: 0,
            epoch: 0,
            done: 0,
            sums,
            clock: Clock::default(),
            fault: None,
            communicator: Rc::new(threads::alone()),
            trained: 0,
            wants_stop: false,
            must_stop: false,
            traffic: Traffic::default(),
            workers: Vec::new(),
        }
    }

    /// On a GPU, reads the losses of this many steps together. Until then they stay on the device, so the host need not wait. By
    /// default it is 16, and 1 on a software adapter. Not to be called within an epoch's steps.
    pub fn read_every(&mut self, steps: usize) {
        if matches!(self.device(), Device::Gpu(_)) {
            self.monitor = GradientMonitor::with_loss_scale(steps, self.device(), self.loss_scale);
        }
    }

    /// Makes a step fail on purpose, for tests.
    pub fn inject(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Trains on the images at the positions `places` of the training split: forward and backward in parts, the shards of batches of
    /// `train.batch_size`, and an Adam step. Returns the losses of these images.
    ///
    /// # Errors
    /// If an image cannot be read, the device fails, or the loss or a gradient is not finite. The message names the
    /// first tensor that is not finite.
    pub async fn step(&mut self, places: &[usize], learning_rate: f64) -> Result<Losses> {
        let (dataset, epoch) = (self.dataset.clone(), self.epoch);
        let mut batches = self.own_parts(places).into_iter().map(|part| dataset.training_batch(epoch, &part));
        self.clock.start();
        let term_weights = self.begin(0, &mut batches, places.len(), learning_rate).await?;
        let (mut losses, error) = self.collect_losses(&[(places, term_weights)]).await?;
        error.map_or_else(|| Ok(losses.remove(0)), Err)
    }

    /// Submits a step of `images` images without waiting for its results. It takes its batches from `batches` and averages
    /// their gradients and losses. The monitor stores the losses at `row` of its history. Returns their names and weights.
    async fn begin(
        &mut self,
        row: usize,
        batches: &mut dyn Iterator<Item = Result<Prepared>>,
        images: usize,
        learning_rate: f64,
    ) -> Result<TermWeights> {
        let (StepSum { mut gradients, watched, .. }, term_weights) = self.sum_of_shards(batches, images).await?;
        self.steps += 1;
        let all: Vec<&Tensor> = self.params.iter().filter_map(|(_, param)| gradients.get(param)).collect();
        let limit = Some(self.config().train.clip).filter(|&clip| clip > 0.0);
        self.monitor.observe(row, &all, &watched.iter().collect::<Vec<_>>(), limit.map(|clip| clip as f32));
        self.adam.step_with(&self.params, &mut gradients, learning_rate, &self.monitor);
        self.ema.iter_mut().for_each(|ema| ema.update(self.steps));
        if let Device::Gpu(machine) = self.device() {
            machine.end_step().await?;
        }
        self.clock.lap(|timing| &mut timing.optimiser);
        Ok(term_weights)
    }

    /// Runs the forward pass of part number `part` of step number `step`, and records it in `trace` if given.
    fn forward(&self, step: u64, part: usize, images: &Prepared, trace: Option<&Trace>) -> Forward {
        let context = ForwardContext { trace, ..ForwardContext::default() };
        self.pass().forward(self.model(), &self.params, (step, part), images, context)
    }

    /// Returns what a forward pass needs besides the model.
    fn pass(&self) -> Pass<'_> {
        Pass { config: self.config(), images: self.dataset.train.count(), device: self.device(), fault: self.fault }
    }

    /// Reads the losses of the last steps, up to the first step that was not finite. Returns these losses, and the
    /// error for that step.
    async fn collect_losses(&mut self, waiting: &[Waiting<'_>]) -> Result<(Vec<Losses>, Option<Error>)> {
        let mut losses = Vec::with_capacity(waiting.len());
        for (i, status) in self.monitor.read(waiting.len()).await?.iter().enumerate() {
            let (places, term_weights) = &waiting[i];
            self.loss_scale = status.loss_scale;
            if status.non_finite {
                let step = self.steps - (waiting.len() - i) as u64;
                let bad = self.first_bad(step, places).await?;
                return Ok((losses, Some(self.diverged(bad, step + 1))));
            }
            losses.push(term_weights.losses(&status.watched[1..])); // the first is the total in f32
        }
        Ok((losses, None))
    }

    /// Trains one epoch, or continues an interrupted one. Returns the mean losses over the training images, computed
    /// while the weights changed. Epochs count from 1.
    ///
    /// `watch` is called after every step and returns whether to continue. If it returns `false`, the result is `None`,
    /// and another call with the same `epoch` continues with the next step. On a GPU it is called for groups of steps,
    /// and a group is completed before training stops. Of several processes all stop after the same step, which is one later than
    /// the one after which the first of them wanted to, unless the epoch ends with that.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub async fn epoch(&mut self, epoch: usize, watch: &mut dyn FnMut(&Progress) -> bool) -> Result<Option<Losses>> {
        self.clock.start();
        let places = order(self.config().seed, epoch, self.dataset.train.count());
        let learning_rate = self.learning_rate(epoch);
        let size = self.config().images_per_step();
        if self.epoch != epoch {
            (self.epoch, self.done, self.sums) = (epoch, 0, Losses::default());
        }
        (self.wants_stop, self.must_stop) = (false, false);
        let steps = self.steps_per_epoch();
        let left = &places[(self.done * size).min(places.len())..];
        let parts = left.chunks(size).flat_map(|places| self.own_parts(places)).collect();
        let mut prepared = batches(&self.dataset, epoch, parts)?;
        let all: Vec<&[usize]> = left.chunks(size).collect();
        for together in all.chunks(self.monitor.history()) {
            let mut waiting: Vec<Waiting> = Vec::with_capacity(together.len());
            for (row, places) in together.iter().enumerate() {
                waiting.push((places, self.begin(row, &mut prepared, places.len(), learning_rate).await?));
            }
            let (losses, error) = self.collect_losses(&waiting).await?;
            self.clock.lap(|timing| &mut timing.reading);
            let mut go_on = true;
            let before = self.adam.steps() as usize - together.len();
            for (i, (losses, places)) in losses.into_iter().zip(together).enumerate() {
                self.done += 1;
                self.sums.add(&losses, places.len());
                let (step, number, images) = (self.done, before + i + 1, places.len());
                go_on &= watch(&Progress { epoch, step, number, steps, images, losses, learning_rate });
            }
            if self.communicator.size() > 1 {
                self.wants_stop |= !go_on;
                go_on = !self.must_stop;
            }
            match error {
                Some(error) => return Err(error),
                None if !go_on => return Ok(None),
                None => self.clock.start(), // the time in `watch` is not counted
            }
        }
        self.done = 0;
        Ok(Some(std::mem::take(&mut self.sums).mean(places.len())))
    }

    /// Returns the time that was spent on each kind of work since the last call.
    pub fn timing(&mut self) -> Timing {
        std::mem::take(&mut self.clock.timing)
    }

    /// Returns the configuration of the run.
    pub fn config(&self) -> &Config {
        &self.predictor.config
    }

    /// Returns the model with its loss.
    pub fn model(&self) -> &dyn Learner {
        &*self.predictor.model
    }

    /// Returns the device that computes.
    pub fn device(&self) -> &Device {
        self.predictor.device()
    }

    /// Returns the number of steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.dataset.train.count().div_ceil(self.config().images_per_step())
    }

    /// Returns the number of steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the learning rate of an epoch, counted from 1.
    pub fn learning_rate(&self, epoch: usize) -> f64 {
        self.schedule.rate(self.config().train.learning_rate, epoch - 1, self.config().train.epochs)
    }

    /// Returns the losses of the validation images; see [`Predictor::evaluate`]. Several processes share the work.
    pub async fn validate(&self) -> Result<Validation> {
        let split = &self.dataset.validation;
        self.predictor().evaluate_together(split, &split.first(usize::MAX), &*self.communicator).await
    }

    /// Returns the model for evaluation. With `train.ema` it has the averaged weights and running statistics. The
    /// trainer cannot take a step while the result exists.
    pub fn predictor(&self) -> AveragedPredictor<'_> {
        AveragedPredictor { predictor: &self.predictor, _averages: self.ema.as_ref().map(Ema::swap_in) }
    }

    /// Reports the validation loss of an epoch to the learning rate schedule.
    pub fn observe(&mut self, validation: f64) {
        self.schedule.observe(validation);
    }

    /// Replaces the weights by those that `fill` loads, and drops the averages. Do not continue training afterwards.
    ///
    /// # Errors
    /// If `fill` returns an error.
    pub fn load_final_weights(&mut self, fill: impl FnOnce(&dyn Module) -> Result<()>) -> Result<()> {
        self.ema = None;
        fill(&*self.predictor.model)
    }

    /// Returns the model with its current weights, and the data set.
    pub fn into_parts(self) -> (Predictor, Dataset) {
        (self.predictor, self.dataset)
    }
}

/// What a forward pass of training needs besides the model.
struct Pass<'a> {
    config: &'a Config,
    /// The number of training images.
    images: usize,
    device: &'a Device,
    fault: Option<Fault>,
}

impl Pass<'_> {
    /// Runs the forward pass of a model with these parameters on a part of a step: step number and part number. `context` has the trace
    /// and the group.
    fn forward(
        &self,
        model: &dyn Learner,
        params: &[(String, Param)],
        (step, part): (u64, usize),
        images: &Prepared,
        context: ForwardContext,
    ) -> Forward {
        let seed = self.config.seed;
        let epochs = step as f64 / self.images.div_ceil(self.config.images_per_step()) as f64;
        let schedule = ScheduleContext { epochs, images: self.images };
        let [x, target] = images.upload(self.device);
        let parts = Division::new(self.config).parts_per_step();
        let pass = step * parts as u64 + part as u64; // each part has noise of its own
        let mut batch = Batch::of_step(x, images.labels.clone(), schedule, seed, pass);
        batch.target = target;
        let seed = Purpose::Dropout.seed(seed);
        let context = ForwardContext { train: true, seed, step: pass, ..context };
        let forward = autocast(dtype(self.config, self.device), || model.forward(&batch, &context));
        match self.fault {
            Some(fault) => fault.spoil(step + 1, forward, params),
            None => forward,
        }
    }
}

/// The discriminator with Adam's settings of the FactorVAE's paper. `rate` is the multiple of the VAE's learning rate.
fn discriminator(rate: f64) -> Group {
    let rule = Rule::Adam { beta1: 0.5, beta2: 0.9, eps: 1e-8, decoupled: false };
    Group { contains: |name| name.starts_with("discriminator."), rate, weight_decay: 0.0, rule: Some(rule) }
}

/// A predictor whose model has the averaged weights while this exists.
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
