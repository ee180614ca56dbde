//! What is learnt: a [`Learner`] turns a batch into a loss. `train` knows how to make that loss small and nothing else,
//! so whatever implements this trait can be trained; a model that implements [`crate::model::Vae`] does, as an [`Autoencoder`].

mod autoencoder;
mod batch;
mod classifier;
mod stages;
mod vq;

use autograd::Var;
use nn::{ForwardContext, Module, Slot};
use tensor::Tensor;

use crate::config::{Config, ModelKind};
use crate::model::{self, Classifier, Vq};
use crate::objective::Terms;
use crate::random::Purpose;

pub use autoencoder::Autoencoder;
pub use batch::Batch;
pub use stages::{Stage, stages};
pub use vq::Quantiser;

/// Something that can be trained.
pub trait Learner: Module {
    /// The loss of a batch, in training.
    fn forward(&self, batch: &Batch, ctx: &ForwardContext) -> Forward;

    /// The loss of a batch that is not trained on, and what else there is to tell of it.
    fn evaluate(&self, batch: &Batch, ctx: &ForwardContext) -> Evaluation;

    /// The Gaussian of each image, mean and logarithm of the variance, each `[batch, z]`. None for what has no posterior.
    fn encode(&self, batch: &Batch) -> Option<[Var; 2]> {
        let _ = batch;
        None
    }

    /// What is made of latents, such as draws from N(0, I), `[batch, z]`, before the output activation: `[batch, channels, size, size]`. A
    /// conditional model is asked for images of these labels. None for what gives no images of its own.
    fn sample(&self, z: &Var, labels: &[usize]) -> Option<Var> {
        let _ = (z, labels);
        None
    }
}

/// A step's loss.
pub struct Forward {
    /// The loss.
    pub terms: Terms,
    /// What was computed on the way to it, in order: should the loss not be finite, the first of these that is not is named.
    pub seen: Vec<(&'static str, Var)>,
}

/// What is told of images that are not trained on, such as validation images.
pub struct Evaluation {
    /// The loss.
    pub terms: Terms,
    /// The KL of each latent of each image, in nats: `[batch, z]`.
    pub kl_per_dim: Option<Var>,
    /// The images again, as they come back without noise, before the output activation: shaped as they are.
    pub reconstruction: Option<Var>,
    /// What each image is taken for, a whole number: `[batch]`.
    pub named: Option<Tensor>,
}

/// The learner that a configuration asks for, on the CPU: its weights drawn by the seed, its encoder frozen if
/// `model.freeze_encoder` says so.
pub fn build(config: &Config) -> Box<dyn Learner> {
    let mut rng = Purpose::Weights.stream(config.seed, 0);
    let learner: Box<dyn Learner> = match config.model.kind {
        ModelKind::Classifier => Box::new(Classifier::new(&mut rng, config)),
        ModelKind::Vq => Box::new(Quantiser::new(config, Vq::new(&mut rng, config))),
        _ => Box::new(Autoencoder::new(config, model::build(config))),
    };
    if config.model.freeze_encoder {
        freeze_encoder(&*learner, config.model.freeze_heads);
    }
    learner
}

/// Holds an encoder as it is, its running statistics too, with or without its heads. What is frozen is a constant to
/// whatever uses it: no gradient goes there, no history is kept, and batch norm evaluates.
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

/// Whether a tensor of this path belongs to an encoder, and not to its heads.
pub(crate) fn is_trunk(path: &str) -> bool {
    let part = path.strip_prefix("encoder.").and_then(|rest| rest.split('.').next());
    part.is_some_and(|part| !["mu", "logvar", "code"].contains(&part))
}
