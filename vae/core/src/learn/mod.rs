//! Learners. A [`Learner`] is a model together with its loss: it computes the loss of a batch. `train` can train any
//! implementation of this trait. A model that implements [`crate::model::Vae`] becomes a learner as an [`Autoencoder`].

mod autoencoder;
mod batch;
mod classifier;
mod forward_pass;
mod soft_intro;
mod stages;
mod summary;
mod vae_gan;
mod vamp;
mod vq;

use autograd::Var;
use nn::{ForwardContext, Module, Slot};
use tensor::Tensor;

use crate::config::{Config, LossKind, ModelKind, ModelPrior};
use crate::model::{self, Classifier, Vq};
use crate::objective::Terms;
use crate::prior::Prior;
use crate::random::Purpose;

pub use autoencoder::Autoencoder;
pub use batch::Batch;
pub use soft_intro::SoftIntro;
pub use stages::{Stage, stages};
pub use summary::{LayerRow, Summary};
pub use vae_gan::VaeGan;
pub use vamp::Vamp;
pub use vq::VqAutoencoder;

/// A model and its loss.
pub trait Learner: Module {
    /// Computes the loss of a training batch.
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward;

    /// Computes the loss and further results of a batch that is not trained on.
    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation;

    /// Returns mean and logarithm of the variance of the posterior of each image, each `[batch, z]`, or `None` if the
    /// model has no posterior.
    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        let _ = batch;
        None
    }

    /// Returns the same posterior if each image's latents are drawn with the standard normal noise `eps`, `[batch, z]`. It depends on
    /// the noise only in a hierarchical model, where the posterior of a latent depends on those that were drawn before it.
    fn encode_drawing(&self, batch: &Batch, eps: &Tensor) -> Option<[Var; 2]> {
        let _ = eps;
        self.encode(batch)
    }

    /// Decodes latents `z` `[batch, z]`, such as draws from N(0, I), to images before the output activation,
    /// `[batch, channels, size, size]`. A conditional model decodes them to images with these labels. Returns `None` if
    /// the model cannot decode latents.
    fn sample(&self, z: &Var, labels: &[usize]) -> Option<Var> {
        let _ = (z, labels);
        None
    }

    /// Returns the prior of the model, or `None` for N(0, I).
    fn prior(&self) -> Option<&dyn Prior> {
        None
    }

    /// Returns ln p(x|z) in nats for S draws of z for each of the B images of a batch, `[B, S]`. `z`, `[B·S, z]`, has the S
    /// draws of an image after each other. Returns `None` if the model cannot decode latents.
    fn log_density(&self, z: &Var, batch: &Batch) -> Option<Var> {
        let _ = (z, batch);
        None
    }

    /// Returns the index of the code at each position, `[batch, rows, columns]`, whole numbers below `code_count()`, or
    /// `None` if the model has no codebook.
    fn encode_codes(&self, batch: &Batch) -> Option<Tensor> {
        let _ = batch;
        None
    }

    /// Decodes indices of codes, `[batch, rows, columns]`, to images before the output activation, or returns `None` if the
    /// model has no codebook.
    fn decode_codes(&self, codes: &Tensor) -> Option<Var> {
        let _ = codes;
        None
    }

    /// Returns how often each code was used in a batch at the end of training, `[codes]`, or `None` if the model has no
    /// codebook.
    fn code_counts(&self) -> Option<Tensor> {
        None
    }
}

/// The result of [`Learner::forward`].
pub struct Forward {
    /// The loss.
    pub terms: Terms,
    /// Intermediate results with their names, in order of computation. If the loss is not finite, the error names the
    /// first of them that is not finite.
    pub intermediates: Vec<(&'static str, Var)>,
}

/// The result of [`Learner::evaluate`].
pub struct Evaluation {
    /// The loss.
    pub terms: Terms,
    /// The KL of each latent of each image in nats, `[batch, z]`, if the model has a posterior.
    pub kl_per_dim: Option<Var>,
    /// The reconstructions without noise (z = mu), before the output activation, shaped as the images, if the model
    /// reconstructs images.
    pub reconstruction: Option<Var>,
    /// The predicted label of each image, a whole number, `[batch]`, if the model is a classifier.
    pub predicted: Option<Tensor>,
}

/// Builds the learner of a configuration on the CPU. The seed determines its initial weights. Its encoder is frozen if
/// `model.freeze_encoder` is set.
pub fn build(config: &Config) -> Box<dyn Learner> {
    let mut rng = Purpose::Weights.stream(config.seed, 0);
    let learner: Box<dyn Learner> = match config.model.kind {
        ModelKind::Classifier => Box::new(Classifier::new(&mut rng, config)),
        ModelKind::Vq | ModelKind::Fsq => Box::new(VqAutoencoder::new(config, Vq::new(&mut rng, config))),
        _ if config.model.prior == ModelPrior::Vamp => {
            Box::new(Vamp::new(&mut Purpose::Prior.stream(config.seed, 0), config, model::build(config)))
        }
        _ => {
            let vae = Autoencoder::new(config, model::build(config));
            match config.loss.kind {
                LossKind::VaeGan => Box::new(VaeGan::new(&mut Purpose::Weights.stream(config.seed, 1), config, vae)),
                LossKind::SoftIntro => Box::new(SoftIntro::new(config, vae)),
                _ => Box::new(vae),
            }
        }
    };
    if config.model.freeze_encoder {
        freeze_encoder(&*learner, config.model.freeze_heads);
    }
    learner
}

/// Freezes an encoder, including its running statistics; `heads` says whether to freeze its heads too. Frozen
/// parameters are constants: they get no gradient, they keep no autograd history, and batch norm uses its running
/// statistics.
pub fn freeze_encoder(model: &dyn Module, heads: bool) {
    nn::visit(model, |path, slot| {
        if is_trunk(path) || heads && path.starts_with("encoder.") {
            match slot {
                Slot::Param(param) => param.freeze(true),
                Slot::Buffer(buffer) => buffer.freeze(true),
            }
        }
    });
}

/// Returns whether the tensor with this path belongs to an encoder without its heads.
pub fn is_trunk(path: &str) -> bool {
    let part = path.strip_prefix("encoder.").and_then(|rest| rest.split('.').next());
    part.is_some_and(|part| !["mu", "logvar", "code"].contains(&part))
}

#[cfg(test)]
mod laws;
