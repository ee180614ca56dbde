//! Priors that are fitted to the latents of a trained model: a second stage (van den Oord et al., 1711.00937; Ghosh et al.,
//! 1903.12436). The decoder has seen the latents of images, and their distribution is not that of the model's own prior. A
//! [`Prior`] that is fitted to them draws latents that the decoder knows.

mod categorical;
mod fitting;
mod flow;
#[cfg(test)]
mod laws;
mod maf;
mod mixture;
mod second_stage;
mod transformer;

use autograd::Var;
use nn::Module;
use tensor::{Device, Generator, Tensor};

use crate::config::{self, Config, PriorKind};
use crate::error::{Error, Result};
use crate::random::Purpose;
use flow::Flow;
use maf::Maf;
use second_stage::SecondStage;
use transformer::Transformer;

pub use categorical::draw_index;
pub use fitting::{Fitting, frequency_nats};
pub use mixture::Mixture;

/// A distribution of latents.
pub trait Prior: Module {
    /// Draws `count` latents on the device where the prior is: `[count, z]`, or indices of codes `[count, rows·columns]`. The
    /// same generator gives the same latents.
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor;

    /// Returns −ln p of each latent in nats, for latents `[count, z]` or `[count, rows·columns]` on the prior's device: `[count]`.
    fn nats(&self, latents: &Tensor) -> Tensor;

    /// Returns whether [`Prior::nats`] is only known to be at least −ln p, because it estimates a bound.
    fn nats_are_a_bound(&self) -> bool {
        false
    }

    /// Returns what it is, in a few words.
    fn words(&self) -> String;
}

/// A prior that is trained by gradients.
pub trait Trainable: Prior {
    /// Measures what it needs to know of all latents, on the CPU, before it is trained.
    fn prepare(&self, latents: &Tensor) {
        let _ = latents;
    }

    /// Returns the loss of a batch of latents, a scalar that is a mean over them. `rng` is for draws, such as noise.
    fn loss(&self, latents: &Tensor, rng: &mut Generator) -> Var;
}

/// Builds a prior of a kind that gradients train, for the latents of a model, on the CPU. The seed determines its initial weights.
/// `settings` are those of [`config::Prior::of_kind`].
///
/// # Errors
/// If the kind does not fit the model, or is not trained by gradients.
pub fn trainable(kind: PriorKind, config: &Config, settings: &config::Prior, seed: u64) -> Result<Box<dyn Trainable>> {
    check(kind, config)?;
    settings.check_for(kind)?;
    let rng = &mut Purpose::Prior.stream(seed, 0);
    match kind {
        PriorKind::Transformer => {
            let length = config.code_side().pow(2);
            Ok(Box::new(Transformer::new(rng, settings, config.model.code_count(), length)))
        }
        PriorKind::Flow => Ok(Box::new(Flow::new(rng, settings, config.model.z_dim))),
        PriorKind::Maf => Ok(Box::new(Maf::new(rng, settings, config.model.z_dim))),
        PriorKind::Vae => Ok(Box::new(SecondStage::new(rng, settings, config.model.z_dim))),
        PriorKind::Standard | PriorKind::Gmm => {
            Err(Error::config(format!("--prior {kind}: it is not trained by gradients")))
        }
    }
}

/// Returns the mean and the deviation of each latent, `[n, d]` → `[1, d]` each. The deviation of equal latents is above 0.
fn moments(latents: &Tensor) -> [Tensor; 2] {
    let mean = latents.mean(&[0], true);
    let variance = latents.sub(&mean).square().mean(&[0], true);
    [mean, variance.add_scalar(1e-12).sqrt()]
}

/// Builds a prior of this kind to load its tensors into.
///
/// # Errors
/// If the kind does not fit the model.
pub fn blank(kind: PriorKind, config: &Config, settings: &config::Prior) -> Result<Box<dyn Prior>> {
    check(kind, config)?;
    match kind {
        PriorKind::Gmm => Ok(Box::new(Mixture::zeros(settings.components, config.model.z_dim))),
        _ => Ok(trainable(kind, config, settings, 0)?),
    }
}

/// Returns the number of weights of such a prior.
pub fn weights(kind: PriorKind, config: &Config, settings: &config::Prior) -> f64 {
    match kind {
        PriorKind::Standard => 0.0,
        PriorKind::Transformer => Transformer::weights(settings, config.model.code_count(), config.code_side().pow(2)),
        PriorKind::Gmm => Mixture::weights(settings.components, config.model.z_dim),
        PriorKind::Flow => Flow::weights(settings, config.model.z_dim),
        PriorKind::Maf => Maf::weights(settings, config.model.z_dim),
        PriorKind::Vae => SecondStage::weights(settings, config.model.z_dim),
    }
}

/// Checks that a kind of prior fits a model.
///
/// # Errors
/// If it does not. The message names the kinds that do.
pub fn check(kind: PriorKind, config: &Config) -> Result<()> {
    let model = config.model.kind;
    let why = match kind {
        PriorKind::Standard if config.model.is_vae() || config.model.has_codes() => return Ok(()),
        PriorKind::Transformer if config.model.has_codes() => return Ok(()),
        PriorKind::Standard => "has no latents to draw",
        PriorKind::Transformer => "has no codes; only vq and fsq have",
        _ if config.model.is_vae() => return Ok(()),
        _ if config.model.has_codes() => "has codes; the prior of codes is transformer",
        _ => "has no latents",
    };
    Err(Error::config(format!("--prior {kind}: model.kind = \"{model}\" {why}")))
}
