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

mod confusion;
mod early_stopping;
mod fault;
mod metrics;
#[cfg(not(target_arch = "wasm32"))]
mod standing;
mod timing;

use autograd::{Param, Var, no_grad};
use nn::optim::{Adam, AdamConfig, Ema, Plateau, Schedule};
use nn::{ForwardContext, Trace};
use tensor::{Device, GradientMonitor, Tensor};

use crate::config::{Config, ScheduleKind};
use crate::data::{Dataset, Prepared, Split, batches, order};
use crate::error::{Error, Result};
use crate::learn::{Autoencoder, Batch, Evaluation, Forward, Learner};
use crate::model::Vae;
use crate::objective::{END, Moment, Outline};
use crate::random::Purpose;

pub use confusion::Confusion;
pub use early_stopping::{EarlyStopping, Verdict};
pub use fault::Fault;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use metrics::part_name;
pub use metrics::{Epoch, Losses, Progress, Validation, number};
pub(crate) use metrics::{part_unit, part_words};
#[cfg(not(target_arch = "wasm32"))]
pub use standing::Standing;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use standing::Whole;
use timing::Clock;
pub use timing::Timing;

/// Steps whose losses a GPU keeps before the host reads them.
const WAITING: usize = 16;

/// A model in training: what is minimised, over what, and how far it has come.
pub struct Trainer {
    /// The run's configuration.
    pub config: Config,
    /// The images.
    pub dataset: Dataset,
    /// The model, and what it minimises.
    pub model: Box<dyn Learner>,
    device: Device,
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
        Trainer::of(config, dataset, model, device)
    }

    /// Before the first step of anything that can be trained, on a device: the model moves there.
    pub fn of(config: Config, dataset: Dataset, model: Box<dyn Learner>, device: Device) -> Trainer {
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
        nn::upload(&*model, &device);
        let params = nn::parameters(&*model);
        let waiting = match &device {
            // A CPU that acts as a GPU gains nothing from steps that wait, and its user would wait for them.
            Device::Gpu(machine) if !machine.limits().software => WAITING,
            _ => 1,
        };
        let monitor = GradientMonitor::new(waiting, &device);
        let ema = Some(train.ema).filter(|&decay| decay > 0.0).map(|decay| Ema::new(decay, &params));
        let (adam, sums) = (Adam::new(adam), Losses::default());
        let (steps, epoch, done, clock, fault) = (0, 0, 0, Clock::default(), None);
        Trainer {
            config,
            dataset,
            model,
            device,
            params,
            adam,
            ema,
            monitor,
            schedule,
            steps,
            epoch,
            done,
            sums,
            clock,
            fault,
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
        let (mut losses, error) = self.settle(&[(places, outline)]).await?;
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
        let limit = Some(self.config.train.clip).filter(|&clip| clip > 0.0);
        self.monitor.observe(row, &all, &terms.watched(), limit.map(|clip| clip as f32));
        self.adam.step(&self.params, &mut gradients, learning_rate, &self.monitor);
        self.ema.iter_mut().for_each(Ema::update);
        if let Device::Gpu(machine) = &self.device {
            machine.end_step().await?;
        }
        self.clock.lap(|timing| &mut timing.optimiser);
        Ok(terms.outline())
    }

    /// The forward pass of step number `step`, noted by `trace` if given.
    fn forward(&self, step: u64, images: &Prepared, trace: Option<&Trace>) -> Forward {
        let seed = self.config.seed;
        let count = self.dataset.train.count();
        let steps = count.div_ceil(self.config.train.batch_size);
        let moment = Moment { epochs: step as f64 / steps as f64, images: count };
        let [x, target] = images.upload(&self.device);
        let mut batch = Batch::of_step(x, images.labels.clone(), moment, seed, step);
        batch.target = target;
        let ctx = ForwardContext { trace, ..ForwardContext::train(Purpose::Dropout.seed(seed), step) };
        let forward = self.model.forward(&batch, &ctx);
        match self.fault {
            Some(fault) => fault.spoil(step + 1, forward, &self.params),
            None => forward,
        }
    }

    /// The losses of the latest steps, whose images these were; up to the first that was not finite, and what is to be said
    /// of that one.
    async fn settle(&self, waiting: &[Waiting<'_>]) -> Result<(Vec<Losses>, Option<Error>)> {
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
        let places = order(self.config.seed, epoch, self.dataset.train.count());
        let learning_rate = self.learning_rate(epoch);
        let size = self.config.train.batch_size;
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
            let (losses, error) = self.settle(&waiting).await?;
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

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Adam's step size in an epoch, counted from 1.
    pub fn learning_rate(&self, epoch: usize) -> f64 {
        self.schedule.rate(self.config.train.learning_rate, epoch - 1, self.config.train.epochs)
    }

    /// The losses on the validation images; see [`Trainer::judge`].
    pub async fn validate(&self) -> Result<Validation> {
        let split = &self.dataset.validation;
        self.judge(split, &(0..split.count()).collect::<Vec<_>>()).await
    }

    /// The losses on images of a split, z drawn by noise that belongs to each image; and the error of z = mu. Schedules
    /// count as at their end, so that epochs compare. MI, TC and DW-KL are means over batches, by the estimator of training
    /// with the N of this split: the whole split's are `objective::exact_latent_terms`.
    pub async fn judge(&self, split: &Split, places: &[usize]) -> Result<Validation> {
        let _averaged = self.ema.as_ref().map(Ema::swap_in);
        let mut sums = Losses::default();
        let mut kl_per_dim = Vec::new();
        let mut squares = None;
        for batch in places.chunks(self.config.train.batch_size) {
            let x = self.dataset.batch(split, batch)?;
            let Evaluation { terms, kl_per_dim: per_dim, reconstruction, .. } = self.evaluate(split, batch, &x);
            sums.add(&terms.read().await?, batch.len());
            if let Some(per_dim) = per_dim {
                kl_per_dim.resize(per_dim.shape()[1], 0.0);
                for row in per_dim.value().read().await?.chunks_exact(kl_per_dim.len()) {
                    kl_per_dim.iter_mut().zip(row).for_each(|(sum, &kl)| *sum += f64::from(kl));
                }
            }
            if let Some(reconstruction) = reconstruction {
                let (truth, guess) = (self.unit(&x).await?, self.pixels(&reconstruction).await?);
                let errors = truth.iter().zip(&guess).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
                *squares.get_or_insert(0.0) += errors.sum::<f64>();
            }
        }
        let n = places.len();
        let pixels = self.dataset.transform.shape().iter().product::<usize>();
        Ok(Validation {
            losses: sums.mean(n),
            kl_per_dim: kl_per_dim.iter().map(|sum| sum / n as f64).collect(),
            mse: squares.map(|squares| squares / (n * pixels) as f64),
        })
    }

    /// What the model makes of images of a split that it is not trained on, whose pixels are `x`.
    fn evaluate(&self, split: &Split, places: &[usize], x: &Tensor) -> Evaluation {
        no_grad(|| self.model.evaluate(&self.unseen(split, places, x), &ForwardContext::eval()))
    }

    /// A batch of images that are not trained on.
    fn unseen(&self, split: &Split, places: &[usize], x: &Tensor) -> Batch {
        let members = places.iter().map(|&place| split.members()[place]).collect();
        let moment = Moment { epochs: END, images: split.count() };
        Batch::of_images(x.upload(&self.device), split.labels(places), moment, self.config.seed, members)
    }

    /// Which labels a classifier gives the images of a split. None from what names nothing.
    pub async fn confusion(&self, split: &Split) -> Result<Option<Confusion>> {
        let _averaged = self.ema.as_ref().map(Ema::swap_in);
        let mut table = Confusion::new(self.config.classes());
        let places: Vec<usize> = (0..split.count()).collect();
        for batch in places.chunks(self.config.train.batch_size) {
            let x = self.dataset.batch(split, batch)?;
            let Some(named) = self.evaluate(split, batch, &x).named else { return Ok(None) };
            let pairs = batch.iter().zip(named.read().await?);
            pairs.for_each(|(&place, named)| table.add(split.label(place), named as usize));
        }
        Ok(Some(table))
    }

    /// Ends an epoch: its validation loss may lower the next learning rates.
    pub fn observe(&mut self, validation: f64) {
        self.schedule.observe(validation);
    }

    /// The first validation images and their reconstructions; see [`Trainer::reconstructions`].
    pub async fn reconstruct(&self, count: usize) -> Result<Option<[Vec<f32>; 2]>> {
        let split = &self.dataset.validation;
        self.reconstructions(split, &(0..count.min(split.count())).collect::<Vec<_>>()).await
    }

    /// Images of a split and their reconstructions without noise, z = mu, as pixels in [0, 1], image after image. None from what
    /// gives no images.
    pub async fn reconstructions(&self, split: &Split, places: &[usize]) -> Result<Option<[Vec<f32>; 2]>> {
        let images = self.dataset.batch(split, places)?;
        let Some(reconstructions) = self.reconstruction(split, places, &images).await? else { return Ok(None) };
        Ok(Some([self.unit(&images).await?, reconstructions]))
    }

    /// What comes back without noise, z = mu, of images as the model sees them, `[places, channels, size, size]`: those in these
    /// places of a split, or others in their stead. Pixels in [0, 1], image after image; None from what gives no images.
    pub async fn reconstruction(&self, split: &Split, places: &[usize], images: &Tensor) -> Result<Option<Vec<f32>>> {
        let _averaged = self.ema.as_ref().map(Ema::swap_in);
        let (mut pixels, size) = (Vec::new(), self.config.train.batch_size);
        for (places, first) in places.chunks(size).zip((0..).step_by(size)) {
            let x = images.slice(0, first, places.len());
            let Some(guess) = self.evaluate(split, places, &x).reconstruction else { return Ok(None) };
            pixels.extend(self.pixels(&guess).await?);
        }
        Ok(Some(pixels))
    }

    /// What the decoder makes of draws from N(0, I), as pixels in [0, 1]; where it is told labels, as many of each, in turn.
    /// None from what gives no images of its own.
    pub async fn sample(&self, count: usize) -> Result<Option<Vec<f32>>> {
        let _averaged = self.ema.as_ref().map(Ema::swap_in);
        let z = Purpose::Samples.stream(self.config.seed, 0).normal_tensor([count, self.config.model.z_dim]);
        let classes = self.config.told_classes();
        self.decode(&z, &(0..count).map(|i| i * classes / count).collect::<Vec<_>>()).await
    }

    /// The Gaussians of images of a split, mean and logarithm of the variance, each `[places, z]`, by the weights as they are,
    /// not by their averages of `train.ema`. None from what has none.
    pub async fn encode(&self, split: &Split, places: &[usize]) -> Result<Option<[Tensor; 2]>> {
        let mut both = [Vec::new(), Vec::new()];
        for places in places.chunks(self.config.train.batch_size) {
            let batch = self.unseen(split, places, &self.dataset.batch(split, places)?);
            let Some(gaussian) = no_grad(|| self.model.encode(&batch)) else { return Ok(None) };
            for (all, part) in both.iter_mut().zip(&gaussian) {
                all.extend(part.value().read().await?);
            }
        }
        Ok(Some(both.map(|numbers| Tensor::new(&numbers, [places.len(), self.config.model.z_dim]))))
    }

    /// What the decoder makes of latents, `[count, z]`, as pixels in [0, 1]: image after image, by the weights as they are. There
    /// are `count` labels, of which only a conditional model is told. None from what gives no images of its own.
    pub async fn decode(&self, z: &Tensor, labels: &[usize]) -> Result<Option<Vec<f32>>> {
        let mut pixels = Vec::new();
        let size = self.config.train.batch_size;
        for (labels, first) in labels.chunks(size).zip((0..).step_by(size)) {
            let z = Var::constant(z.slice(0, first, labels.len()).upload(&self.device));
            let Some(decoded) = no_grad(|| self.model.sample(&z, labels)) else { return Ok(None) };
            pixels.extend(self.pixels(&decoded).await?);
        }
        Ok(Some(pixels))
    }

    /// Pixels in [0, 1] of the decoder's numbers.
    async fn pixels(&self, logits: &Var) -> Result<Vec<f32>> {
        let output = no_grad(|| self.config.model.output.apply(logits));
        self.unit(output.value()).await
    }

    /// Pixels in [0, 1] of images as the model sees them, `[images, channels, size, size]`.
    pub async fn unit(&self, images: &Tensor) -> Result<Vec<f32>> {
        let mut pixels = images.read().await?;
        self.dataset.transform.to_unit(&mut pixels);
        Ok(pixels)
    }
}

#[cfg(test)]
mod tests;
