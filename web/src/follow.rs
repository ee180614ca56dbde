//! One training step, in numbers. A batch goes forward and backward, Adam updates the weights, and the same batch with the same noise
//! goes forward again:
//!
//! ```text
//! z = mu + σ·ε,   σ = exp(logvar/2)
//! loss = reconstruction + β·KL,   KL = Σ_d ½·(mu_d² + σ_d² − ln σ_d² − 1)
//! ```

use std::f64::consts::{PI, TAU};

use autograd::no_grad;
use nn::{ForwardContext, Slot};
use tensor::Tensor;
use vae_core::Result;
use vae_core::config::Reconstruction;
use vae_core::data::order;
use vae_core::learn::{Batch, Forward, stages};
use vae_core::objective::ScheduleContext;
use vae_core::random::Purpose;

use crate::frame::{Encoded, Maps, bytes, kl};
use crate::laboratory::{Laboratory, value};

/// A training step and what it did.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The number of the step, counted from 1.
    pub step: u64,
    /// The images of the batch.
    pub images: usize,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// The first image of the batch, with the posterior and the reconstruction of this step. The reconstruction is made from z.
    pub first: Encoded,
    /// The feature maps of the first image, before the step.
    pub stages: Vec<Maps>,
    /// The noise of the first image.
    pub eps: Vec<f32>,
    /// Its latents.
    pub z: Vec<f32>,
    /// Total, reconstruction and KL of the batch.
    pub losses: [f32; 3],
    /// The same after the step.
    pub after: [f32; 3],
    /// The reconstruction term and the KL of the first image.
    pub image_losses: [f32; 2],
    /// What happened to each parameter.
    pub updates: Vec<Update>,
}

/// What a step did to a parameter.
#[derive(Clone, Debug)]
pub struct Update {
    /// The name.
    pub name: String,
    /// The shape, as `[8, 1, 3, 3]`.
    pub shape: String,
    /// The length of the gradient: the root of the sum of squares.
    pub gradient: f32,
    /// The length of the weight before the step.
    pub weight: f32,
    /// The length of the change.
    pub change: f32,
}

impl Laboratory {
    /// Trains one batch and describes it.
    ///
    /// # Errors
    /// As [`Laboratory::train`].
    pub async fn follow(&mut self) -> Result<Follow> {
        let position = self.position();
        let (config, data) = (self.trainer.config().clone(), self.trainer.dataset.clone());
        let all = order(config.seed, position.epoch, data.train.count());
        let places: Vec<usize> =
            all.into_iter().skip(position.step * config.images_per_step()).take(config.images_per_step()).collect();
        let prepared = data.training_batch(position.epoch, &places)?;
        let [images, target] = prepared.upload(self.trainer.device());
        let schedule = ScheduleContext {
            epochs: position.steps as f64 / self.trainer.steps_per_epoch() as f64,
            images: data.train.count(),
        };
        let batch = || {
            let labels = prepared.labels.clone();
            let mut batch = Batch::of_step(images.clone(), labels, schedule, config.seed, position.steps);
            batch.target = target.clone();
            batch
        };
        let ctx = || ForwardContext::train(Purpose::Dropout.seed(config.seed), position.steps);

        // These passes leave the model as it is: only the trainer's own step changes it.
        let tensors = self.tensors();
        let forward = self.trainer.model().forward(&batch(), &ctx());
        let gradients = forward.terms.total.backward();
        let of = |name: &str, forward: &Forward| {
            forward.intermediates.iter().find(|(known, _)| *known == name).map(|(_, var)| var.value().clone())
        };
        let read = async |name: &str| -> Result<Vec<f32>> {
            match of(name, &forward) {
                Some(tensor) => Ok(tensor.slice(0, 0, 1).read().await?),
                None => Ok(Vec::new()),
            }
        };
        let (mu, logvar, z) = (read("encoder.mu").await?, read("encoder.logvar").await?, read("the latents").await?);
        let eps = (0..z.len().min(mu.len())).map(|i| (z[i] - mu[i]) / (0.5 * logvar[i]).exp()).collect();
        let logits =
            autograd::Var::constant(of("the decoder's output", &forward).expect("a VAE decodes").slice(0, 0, 1));
        let predictor = self.trainer.predictor();
        let reconstruction = bytes(&predictor.to_pixels(&logits).await?);
        let pixels = bytes(&predictor.to_unit(&images.slice(0, 0, 1)).await?);
        let stages = stages(&*predictor.model, &images.slice(0, 0, 1), prepared.labels[0]).await?;
        drop(predictor);
        let losses = self.losses_of(&forward).await?;
        let image_kl: f32 = mu.iter().zip(&logvar).map(|(&mu, &logvar)| kl(mu, logvar)).sum();
        let image_reconstruction = self.reconstruction_of_first(&z, &images, &target, &prepared.labels).await?;
        self.restore(&tensors);

        self.train_one_step().await?;
        let updates = self.updates(&tensors, &gradients).await?;
        let changed = self.tensors();
        let after = no_grad(|| self.trainer.model().forward(&batch(), &ctx()));
        let after = self.losses_of(&after).await?;
        self.restore(&changed);
        Ok(Follow {
            step: position.steps + 1,
            images: places.len(),
            learning_rate: self.trainer.learning_rate(position.epoch),
            first: Encoded { pixels, label: prepared.labels[0], mu, logvar, reconstruction },
            stages: stages.iter().map(Maps::new).collect(),
            eps,
            z,
            losses,
            after,
            image_losses: [image_reconstruction, image_kl],
            updates,
        })
    }

    /// Total, reconstruction and KL.
    async fn losses_of(&self, forward: &Forward) -> Result<[f32; 3]> {
        let mut numbers = [f32::NAN; 3];
        numbers[0] = forward.terms.total.value().read().await?[0];
        for (number, name) in numbers[1..].iter_mut().zip(["reconstruction", "kl"]) {
            if let Some(part) = forward.terms.parts.iter().find(|part| part.name == name) {
                *number = part.value.value().read().await?[0];
            }
        }
        Ok(numbers)
    }

    /// The reconstruction term of the first image alone: −ln p(x|z), without the constant that the term of the loss leaves out.
    async fn reconstruction_of_first(
        &self,
        z: &[f32],
        images: &Tensor,
        target: &Tensor,
        labels: &[usize],
    ) -> Result<f32> {
        let schedule = ScheduleContext { epochs: 0.0, images: 1 };
        let mut batch = Batch::of_step(images.slice(0, 0, 1), labels[..1].to_vec(), schedule, 0, 0);
        batch.target = target.slice(0, 0, 1);
        let z = autograd::Var::constant(Tensor::new(z, [1, z.len()]).upload(self.trainer.device()));
        let density = no_grad(|| self.trainer.model().log_density(&z, &batch)).expect("a VAE decodes");
        let half_size = 0.5 * batch.target.count() as f64;
        let constant = match self.trainer.config().loss.reconstruction {
            Reconstruction::Sse => half_size * PI.ln(),
            Reconstruction::HalfSse => half_size * TAU.ln(),
            Reconstruction::Bce | Reconstruction::Gaussian => 0.0,
        };
        Ok((-f64::from(density.value().read().await?[0]) - constant) as f32)
    }

    /// Every tensor of the model with its name. A clone shares its memory until one of both changes.
    fn tensors(&self) -> Vec<(String, Tensor)> {
        let mut tensors = Vec::new();
        nn::visit(self.trainer.model(), |name, slot| tensors.push((name.to_owned(), value(slot))));
        tensors
    }

    fn restore(&self, tensors: &[(String, Tensor)]) {
        let mut known = tensors.iter();
        nn::visit(self.trainer.model(), |_, slot| {
            let (_, tensor) = known.next().expect("the model has the same tensors");
            if let Slot::Buffer(buffer) = slot {
                buffer.set(tensor.clone());
            }
        });
    }

    async fn updates(&self, before: &[(String, Tensor)], gradients: &autograd::Gradients) -> Result<Vec<Update>> {
        let mut updates = Vec::new();
        for (name, param) in nn::parameters(self.trainer.model()) {
            let old = &before.iter().find(|(known, _)| *known == name).expect("the model has the same tensors").1;
            let Some(gradient) = gradients.get(&param) else { continue };
            updates.push(Update {
                shape: old.shape().to_string(),
                gradient: length(gradient).await?,
                weight: length(old).await?,
                change: length(&param.value().sub(old)).await?,
                name,
            });
        }
        Ok(updates)
    }
}

/// The root of the sum of squares.
async fn length(tensor: &Tensor) -> Result<f32> {
    Ok(tensor.read().await?.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt() as f32)
}
