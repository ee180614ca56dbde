//! Priors that are fitted to the latents of a trained model: a second stage (van den Oord et al., 1711.00937; Ghosh et al.,
//! 1903.12436). The decoder has seen the latents of images, and their distribution is not that of the model's own prior. A
//! [`Prior`] that is fitted to them draws latents that the decoder knows.

mod fitting;
mod transformer;

use autograd::Var;
use nn::Module;
use tensor::{Device, Generator, Tensor};

use crate::config::{self, Config, PriorKind};
use crate::error::{Error, Result};
use crate::random::Purpose;
use transformer::Transformer;

pub use fitting::{Fitting, frequency_nats};

/// A distribution of latents.
pub trait Prior: Module {
    /// Draws `count` latents on the device where the prior is: `[count, z]`, or indices of codes `[count, rows·columns]`. The
    /// same generator gives the same latents.
    fn draw(&self, count: usize, device: &Device, rng: &mut Generator) -> Tensor;

    /// Returns −ln p(latents) in nats, the mean over latents `[count, z]` or `[count, rows·columns]` on the prior's device: a
    /// scalar. `None` if it cannot be computed.
    fn nats(&self, latents: &Tensor) -> Option<Tensor>;

    /// Returns what it is, in a few words.
    fn words(&self) -> String;
}

/// A prior that is trained by gradients.
pub trait Trainable: Prior {
    /// Returns the loss of a batch of latents, a scalar that is a mean over them. `rng` is for draws, such as noise.
    fn loss(&self, latents: &Tensor, rng: &mut Generator) -> Var;
}

/// Builds a prior of this kind for the latents of a model, on the CPU. The seed determines its initial weights.
///
/// # Errors
/// If the kind does not fit the model.
pub fn build(kind: PriorKind, config: &Config, settings: &config::Prior, seed: u64) -> Result<Box<dyn Trainable>> {
    check(kind, config)?;
    settings.check()?;
    let rng = &mut Purpose::Prior.stream(seed, 0);
    let side = config.code_side();
    Ok(Box::new(Transformer::new(rng, settings, config.model.code_count(), side * side)))
}

/// Returns the number of weights of such a prior.
pub fn weights(config: &Config, settings: &config::Prior) -> f64 {
    Transformer::weights(settings, config.model.code_count(), config.code_side().pow(2))
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
    };
    Err(Error::config(format!("--prior {kind}: model.kind = \"{model}\" {why}")))
}
