//! Training, from the inside out: [`Trainer::step`] is one batch, [`Trainer::epoch`] one pass over the images,
//! [`Trainer::validate`] what the epoch is judged by. Files and clocks are the caller's: see `run`.
//!
//! Every number here is a function of the configuration: the order of images comes from (seed, epoch), noise from
//! (seed, step) or (seed, image), and sums over images are taken in f64, in the order of the images.

mod early_stopping;
mod metrics;

use autograd::{Gradients, Param, Var, no_grad};
use nn::Pass;
use nn::optim::{Adam, AdamConfig, Plateau, Schedule, clip_gradients};
use tensor::{Device, Tensor};

use crate::config::{Config, ScheduleKind};
use crate::data::{Dataset, order};
use crate::error::{Error, Result};
use crate::model::{Vae, reparameterise};
use crate::objective::{Objective, Terms};
use crate::random::{Purpose, image_noise};

pub use early_stopping::{EarlyStopping, Verdict};
pub use metrics::{Epoch, Losses, Progress, Validation, number};

/// A model in training: what is minimised, over what, and how far it has come.
pub struct Trainer {
    /// The run's configuration.
    pub config: Config,
    /// The images.
    pub dataset: Dataset,
    /// The model.
    pub model: Box<dyn Vae>,
    objective: Objective,
    params: Vec<(String, Param)>,
    adam: Adam,
    schedule: Schedule,
    steps: u64,
}

impl Trainer {
    /// Before the first step.
    pub fn new(config: Config, dataset: Dataset, model: Box<dyn Vae>) -> Trainer {
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
        let params = nn::parameters(&*model);
        let objective = Objective::new(&config);
        Trainer { config, dataset, model, objective, params, adam: Adam::new(adam), schedule, steps: 0 }
    }

    /// One step: the images in these places of the training split, forward, backward, Adam. Returns the batch's losses.
    pub async fn step(&mut self, places: &[usize], learning_rate: f64) -> Result<Losses> {
        let (seed, step) = (self.config.seed, self.steps);
        self.steps += 1;
        let x = self.dataset.batch(&self.dataset.train, places);
        let eps = Purpose::TrainNoise.stream(seed, step).normal_tensor([places.len(), self.config.model.z_dim]);
        let pass = Pass::train(Purpose::Dropout.seed(seed), step);

        let (mu, logvar) = self.model.encode(&Var::constant(x.clone()), &pass);
        let z = reparameterise(&mu, &logvar, &eps);
        let logits = self.model.decode(&z, &pass);
        let terms = self.objective.terms(&logits, &x, &mu, &logvar);

        let losses = self.losses(&terms).await?;
        if !losses.is_finite() {
            let seen = [("the images", &x), ("encoder.mu", mu.value()), ("encoder.logvar", logvar.value())];
            let made = [("the latents", z.value()), ("the decoder's output", logits.value())];
            let terms = [("the reconstruction loss", terms.reconstruction.value()), ("the KL", terms.kl.value())];
            return Err(self.diverged(first_bad([&seen[..], &made, &terms].concat().into_iter()).await?));
        }
        let mut gradients = terms.total.backward();
        self.check(&gradients)?;
        if self.config.train.clip > 0.0 {
            clip_gradients(&self.params, &mut gradients, self.config.train.clip);
        }
        self.adam.step(&self.params, &mut gradients, learning_rate);
        Ok(losses)
    }

    /// One pass over the training images; `watch` sees every step and says whether to go on. None if it said no.
    pub async fn epoch(&mut self, epoch: usize, watch: &mut dyn FnMut(&Progress) -> bool) -> Result<Option<Losses>> {
        let places = order(self.config.seed, epoch, self.dataset.train.count());
        let learning_rate = self.learning_rate(epoch);
        let steps = places.len().div_ceil(self.config.train.batch_size);
        let mut sums = Losses::default();
        let mut images = 0;
        for (step, batch) in places.chunks(self.config.train.batch_size).enumerate() {
            let losses = self.step(batch, learning_rate).await?;
            sums.add(&losses, batch.len());
            images += batch.len();
            let progress = Progress { epoch, step: step + 1, steps, images: batch.len(), losses, learning_rate };
            if !watch(&progress) {
                return Ok(None);
            }
        }
        Ok(Some(sums.mean(images)))
    }

    /// Adam's step size in an epoch, counted from 1.
    pub fn learning_rate(&self, epoch: usize) -> f64 {
        self.schedule.rate(self.config.train.learning_rate, epoch - 1, self.config.train.epochs)
    }

    /// The losses on the validation images, z drawn by noise that belongs to each image; and the error of z = mu.
    pub async fn validate(&self) -> Result<Validation> {
        let split = &self.dataset.validation;
        let places: Vec<usize> = (0..split.count()).collect();
        let mut sums = Losses::default();
        let mut kl_per_dim = vec![0.0; self.config.model.z_dim];
        let mut squares = 0.0;
        for batch in places.chunks(self.config.train.batch_size) {
            let x = self.dataset.batch(split, batch);
            let images: Vec<usize> = batch.iter().map(|&place| split.members()[place]).collect();
            let eps = image_noise(self.config.seed, &images, self.config.model.z_dim);
            let (terms, per_dim, mean) = no_grad(|| {
                let (mu, logvar) = self.model.encode(&Var::constant(x.clone()), &Pass::eval());
                let logits = self.model.decode(&reparameterise(&mu, &logvar, &eps), &Pass::eval());
                let terms = self.objective.terms(&logits, &x, &mu, &logvar);
                (terms, nn::loss::gaussian_kl_per_dim(&mu, &logvar), self.model.decode(&mu, &Pass::eval()))
            });
            sums.add(&self.losses(&terms).await?, batch.len());
            for row in per_dim.value().read().await?.chunks_exact(kl_per_dim.len()) {
                kl_per_dim.iter_mut().zip(row).for_each(|(sum, &kl)| *sum += f64::from(kl));
            }
            let (truth, guess) = (self.unit(&x).await?, self.pixels(&mean).await?);
            squares += truth.iter().zip(&guess).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
        }
        let n = places.len();
        let pixels = self.dataset.transform.shape().iter().product::<usize>();
        Ok(Validation {
            losses: sums.mean(n),
            kl_per_dim: kl_per_dim.iter().map(|sum| sum / n as f64).collect(),
            mse: squares / (n * pixels) as f64,
        })
    }

    /// Ends an epoch: its validation loss may lower the next learning rates.
    pub fn observe(&mut self, validation: f64) {
        self.schedule.observe(validation);
    }

    /// The first validation images and their reconstructions from z = mu, as pixels in [0, 1].
    pub async fn reconstruct(&self, count: usize) -> Result<[Vec<f32>; 2]> {
        let places: Vec<usize> = (0..count.min(self.dataset.validation.count())).collect();
        let [mut originals, mut reconstructions] = [Vec::new(), Vec::new()];
        for batch in places.chunks(self.config.train.batch_size) {
            let x = self.dataset.batch(&self.dataset.validation, batch);
            let guess = no_grad(|| {
                let (mu, _) = self.model.encode(&Var::constant(x.clone()), &Pass::eval());
                self.model.decode(&mu, &Pass::eval())
            });
            originals.extend(self.unit(&x).await?);
            reconstructions.extend(self.pixels(&guess).await?);
        }
        Ok([originals, reconstructions])
    }

    /// What the decoder makes of draws from N(0, I), as pixels in [0, 1].
    pub async fn sample(&self, count: usize) -> Result<Vec<f32>> {
        let z = Purpose::Samples.stream(self.config.seed, 0).normal_tensor([count, self.config.model.z_dim]);
        let mut pixels = Vec::new();
        for first in (0..count).step_by(self.config.train.batch_size) {
            let some = self.config.train.batch_size.min(count - first);
            let decoded = no_grad(|| self.model.decode(&Var::constant(z.slice(0, first, some)), &Pass::eval()));
            pixels.extend(self.pixels(&decoded).await?);
        }
        Ok(pixels)
    }

    /// Pixels in [0, 1] of the decoder's numbers.
    async fn pixels(&self, logits: &Var) -> Result<Vec<f32>> {
        let output = no_grad(|| self.config.model.output.apply(logits));
        self.unit(output.value()).await
    }

    async fn unit(&self, images: &Tensor) -> Result<Vec<f32>> {
        let mut pixels = images.read().await?;
        self.dataset.transform.to_unit(&mut pixels);
        Ok(pixels)
    }

    /// A batch's losses, on the host.
    async fn losses(&self, terms: &Terms) -> Result<Losses> {
        let reconstruction = f64::from(terms.reconstruction.value().read().await?[0]);
        let kl = terms.kl.value().read().await?;
        let kl = kl.iter().map(|&kl| f64::from(kl)).sum::<f64>() / kl.len() as f64;
        Ok(Losses { total: self.objective.total(reconstruction, kl), reconstruction, kl })
    }

    /// Refuses a gradient that is not finite. One pass over the bits: a fast look, since it happens every step.
    fn check(&self, gradients: &Gradients) -> Result<()> {
        let bad = |gradient: &Tensor| gradient.device() == Device::Cpu && !all_finite(gradient.data());
        match self.params.iter().find(|(_, param)| gradients.get(param).is_some_and(bad)) {
            Some((name, _)) => Err(self.diverged(format!("the gradient of {name}"))),
            None => Ok(()),
        }
    }

    /// What to say when `what` is not finite.
    pub(crate) fn diverged(&self, what: String) -> Error {
        Error::Diverged(format!(
            "{what} is not finite at step {}: the run has diverged; \
             lower train.learning_rate ({}) or set train.clip = 1",
            self.steps, self.config.train.learning_rate
        ))
    }
}

/// The name of the first tensor with a number that is not finite.
async fn first_bad(tensors: impl Iterator<Item = (&str, &Tensor)>) -> Result<String> {
    for (name, tensor) in tensors {
        if !all_finite(&tensor.read().await?) {
            return Ok(name.to_owned());
        }
    }
    Ok("the loss".to_owned())
}

/// Whether no exponent is all ones. A maximum over integers vectorises; stopping at the first bad number would not.
fn all_finite(numbers: &[f32]) -> bool {
    numbers.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)) < 0x7f80_0000
}

#[cfg(test)]
mod tests;
