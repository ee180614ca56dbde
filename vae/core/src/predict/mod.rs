//! Using a model. A [`Predictor`] encodes images, decodes latents, draws samples, and computes the losses of a split.
//! It contains a model and the transform of its images, but neither an optimiser nor a data set.

mod codes;
mod confusion;
mod evaluation;
mod sampling;

use std::rc::Rc;

use autograd::{Var, no_grad};
use nn::ForwardContext;
use tensor::{Device, Tensor};

use crate::config::Config;
use crate::data::{Split, Transform};
use crate::distributed::{Communicator, shared_batches, threads};
use crate::error::Result;
use crate::learn::{Batch, Evaluation, Learner};
use crate::objective::{END, Losses, ScheduleContext};
use crate::prior::Prior;

pub use confusion::Confusion;

/// A latent is in use if its mean KL over images is above this, in nats. The posterior has collapsed if the KL of all latents
/// together is below it.
///
/// If the codes of all images together have the distribution of the prior, N(0, 1), then a latent with this KL explains
/// 1 − e^(−2·0.1) = 18 % of its own variance; the rest is noise. Burda, Grosse and Salakhutdinov (1509.00519) count a latent whose
/// mean varies by more than 0.01. That is 1 % of the variance, or 0.005 nat, and such a latent changes no pixel visibly.
pub const IN_USE: f64 = 0.1;

/// A model for evaluation, on a device.
pub struct Predictor {
    /// The configuration that built the model.
    pub config: Config,
    /// The model and its loss.
    pub model: Box<dyn Learner>,
    /// The conversion of image bytes to model input, and back to pixels.
    pub transform: Transform,
    /// The prior that samples are drawn from, on the device. `None` for that of the model.
    pub prior: Option<Box<dyn Prior>>,
    /// The processes that compute together: all of them call the same methods, share the batches of `evaluate`, `encode`, `decode`
    /// and `reconstruction`, and get the same results.
    pub ranks: Rc<dyn Communicator>,
    device: Device,
}

/// The losses of images that the model was not trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// The losses with z drawn from the posterior.
    pub losses: Losses,
    /// The mean KL of each latent in nats. It is empty for a model without a posterior.
    pub kl_per_dim: Vec<f64>,
    /// The mean squared error of the reconstruction with z = mu, for pixels in [0, 1]. `None` for a model that does not
    /// reconstruct images.
    pub mse: Option<f64>,
}

impl Validation {
    /// Returns the number of latents in use: those with a KL above [`IN_USE`].
    pub fn latents_in_use(&self) -> usize {
        self.kl_per_dim.iter().filter(|&&kl| kl > IN_USE).count()
    }
}

/// Every `async` method waits for the device. Its error is that of the device, or of an image that cannot be read.
impl Predictor {
    /// Creates a predictor and moves the model to the device.
    pub fn new(config: Config, model: Box<dyn Learner>, transform: Transform, device: Device) -> Predictor {
        nn::upload(&*model, &device);
        Predictor { config, model, transform, prior: None, ranks: Rc::new(threads::alone()), device }
    }

    /// Returns the device that computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the images at the positions `places` of a split as model input, `[places, channels, size, size]`, on the
    /// CPU.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub fn batch(&self, split: &Split, places: &[usize]) -> Result<Tensor> {
        self.transform.batch(split, places)
    }

    /// Returns the losses of the images at the positions `places` of a split, with z drawn from the posterior by noise
    /// that depends on each image, and the reconstruction error with z = mu. Schedules have their final values, so that
    /// epochs can be compared. MI, TC and DW-KL are means over batches. They use the estimator of training with N the
    /// size of this split. `objective::exact_latent_terms` computes those of the whole split.
    pub async fn evaluate(&self, split: &Split, places: &[usize]) -> Result<Validation> {
        self.evaluate_together(split, places, &*self.ranks).await
    }

    /// Returns the confusion table of a classifier on a split, or `None` for any other model and for an empty split.
    pub async fn confusion(&self, split: &Split) -> Result<Option<Confusion>> {
        let mut table = None;
        for batch in split.first(usize::MAX).chunks(self.config.train.batch_size) {
            let x = self.batch(split, batch)?;
            let Some(predicted) = self.forward(split, batch, &x).predicted else { return Ok(None) };
            let pairs = batch.iter().zip(predicted.read().await?);
            let table = table.get_or_insert_with(|| Confusion::new(self.config.classes()));
            pairs.for_each(|(&place, predicted)| table.add(split.label(place), predicted as usize));
        }
        Ok(table)
    }

    /// Returns images of a split and their reconstructions with z = mu, as pixels in [0, 1], image after image, or
    /// `None` for a model that does not reconstruct images.
    pub async fn reconstructions(&self, split: &Split, places: &[usize]) -> Result<Option<[Vec<f32>; 2]>> {
        let images = self.batch(split, places)?;
        let Some(reconstructions) = self.reconstruction(split, places, &images).await? else { return Ok(None) };
        Ok(Some([self.to_unit(&images).await?, reconstructions]))
    }

    /// Returns the reconstructions with z = mu of `images`, `[places, channels, size, size]`, as pixels in [0, 1],
    /// image after image. The images are those at the positions `places` of the split, or changed versions of them.
    /// Returns `None` for a model that does not reconstruct images.
    pub async fn reconstruction(&self, split: &Split, places: &[usize], images: &Tensor) -> Result<Option<Vec<f32>>> {
        let batches: Vec<&[usize]> = places.chunks(self.config.train.batch_size).collect();
        shared_batches(&*self.ranks, batches.len(), async |i| {
            let x = images.slice(0, i * self.config.train.batch_size, batches[i].len());
            match self.forward(split, batches[i], &x).reconstruction {
                Some(guess) => Ok(Some(self.to_pixels(&guess).await?)),
                None => Ok(None),
            }
        })
        .await
    }

    /// Returns the mean and the logarithm of the variance of the posterior of each image, each `[places, z]`, or `None`
    /// for a model without posteriors.
    pub async fn encode(&self, split: &Split, places: &[usize]) -> Result<Option<[Tensor; 2]>> {
        self.encode_drawing(split, places, None).await
    }

    /// Returns the posterior of each image as [`Predictor::encode`] does, if its latents are drawn with the standard normal `noise`,
    /// `[places, z]`, on the CPU. Only in a hierarchical model it depends on the noise. An image may be at several places.
    pub async fn encode_drawing(
        &self,
        split: &Split,
        places: &[usize],
        noise: Option<&Tensor>,
    ) -> Result<Option<[Tensor; 2]>> {
        let size = self.config.train.batch_size;
        let batches: Vec<&[usize]> = places.chunks(size).collect();
        let pairs = shared_batches(&*self.ranks, batches.len(), async |i| {
            let noise = noise.map(|noise| noise.slice(0, i * size, batches[i].len()));
            let Some([mu, logvar]) = self.encode_batch(split, batches[i], noise.as_ref()).await? else {
                return Ok(None);
            };
            Ok(Some(mu.into_iter().zip(logvar).map(|(mu, logvar)| [mu, logvar]).collect()))
        });
        let Some(pairs) = pairs.await? else { return Ok(None) };
        let column = |which: usize| pairs.iter().map(|pair| pair[which]).collect::<Vec<f32>>();
        Ok(Some([0, 1].map(|which| Tensor::new(&column(which), [places.len(), self.config.model.z_dim]))))
    }

    /// Returns mean and logarithm of the variance of the posterior of the image at `place` for each draw of its latents with the standard
    /// normal `noise`, `[draws, z]`, each `[draws, z]`, draw after draw. Each process computes them by itself.
    pub async fn encode_draws(&self, split: &Split, place: usize, noise: &Tensor) -> Result<Option<[Vec<f32>; 2]>> {
        let (size, draws) = (self.config.train.batch_size, noise.shape()[0]);
        let mut both = [Vec::new(), Vec::new()];
        for first in (0..draws).step_by(size) {
            let noise = noise.slice(0, first, size.min(draws - first));
            let Some(some) = self.encode_batch(split, &vec![place; noise.shape()[0]], Some(&noise)).await? else {
                return Ok(None);
            };
            both.iter_mut().zip(some).for_each(|(all, some)| all.extend(some));
        }
        Ok(Some(both))
    }

    async fn encode_batch(
        &self,
        split: &Split,
        places: &[usize],
        noise: Option<&Tensor>,
    ) -> Result<Option<[Vec<f32>; 2]>> {
        let batch = self.held_out(split, places, &self.batch(split, places)?);
        let encoded = no_grad(|| match noise {
            Some(noise) => self.model.encode_drawing(&batch, &noise.upload(&self.device)),
            None => self.model.encode(&batch),
        });
        let Some([mu, logvar]) = encoded else { return Ok(None) };
        Ok(Some([mu.value().read().await?, logvar.value().read().await?]))
    }

    /// Decodes latents `[count, z]` to images, as pixels in [0, 1], image after image. `labels` has `count` entries,
    /// which only a conditional model uses. Returns `None` for a model that cannot decode latents.
    pub async fn decode(&self, z: &Tensor, labels: &[usize]) -> Result<Option<Vec<f32>>> {
        let batches: Vec<&[usize]> = labels.chunks(self.config.train.batch_size).collect();
        shared_batches(&*self.ranks, batches.len(), async |i| {
            let (first, labels) = (i * self.config.train.batch_size, batches[i]);
            let z = Var::constant(z.slice(0, first, labels.len()).upload(&self.device));
            match no_grad(|| self.model.sample(&z, labels)) {
                Some(decoded) => Ok(Some(self.to_pixels(&decoded).await?)),
                None => Ok(None),
            }
        })
        .await
    }

    /// Returns ln p(x|z) in nats of an image for each draw `z`, `[draws, z]`, or `None` for a model that cannot decode latents.
    /// `x` is the image at the position `place` of the split, `[1, channels, size, size]`.
    pub async fn log_density(&self, split: &Split, place: usize, x: &Tensor, z: &Tensor) -> Result<Option<Vec<f32>>> {
        let batch = self.held_out(split, &[place], x);
        let z = Var::constant(z.upload(&self.device));
        let Some(densities) = no_grad(|| self.model.log_density(&z, &batch)) else { return Ok(None) };
        Ok(Some(densities.value().read().await?))
    }

    /// Converts model input, `[images, channels, size, size]`, to pixels in [0, 1].
    pub async fn to_unit(&self, images: &Tensor) -> Result<Vec<f32>> {
        let mut pixels = images.read().await?;
        self.transform.to_unit(&mut pixels);
        Ok(pixels)
    }

    /// Converts the decoder's output before its activation to pixels in [0, 1].
    pub async fn to_pixels(&self, logits: &Var) -> Result<Vec<f32>> {
        let output = no_grad(|| self.config.model.output.apply(logits));
        self.to_unit(output.value()).await
    }

    /// Evaluates the model on images `x`, which are at the positions `places` of the split.
    fn forward(&self, split: &Split, places: &[usize], x: &Tensor) -> Evaluation {
        no_grad(|| self.model.evaluate(&self.held_out(split, places, x), &ForwardContext::eval()))
    }

    /// Creates a batch of images that are not trained on.
    fn held_out(&self, split: &Split, places: &[usize], x: &Tensor) -> Batch {
        let members = places.iter().map(|&place| split.indices()[place]).collect();
        let schedule = ScheduleContext { epochs: END, images: split.count() };
        Batch::of_images(x.upload(&self.device), split.labels(places), schedule, self.config.seed, members)
    }
}

#[cfg(test)]
mod laws;
