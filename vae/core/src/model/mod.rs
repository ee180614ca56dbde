//! Models. A VAE has an encoder x → N(μ, σ²) and a decoder z → x̂:
//!
//! ```text
//! x [batch, C, S, S] → mu, logvar [batch, z]
//! z = mu + exp(logvar/2)·eps,  eps ~ N(0, I)
//! z → logits [batch, C, S, S]
//! ```
//!
//! C is the number of channels, S the side of the images, z the number of latents. logvar, the logarithm of σ², is
//! clamped to [−30, 20], so that its exponential does not overflow and the variance is never 0.

mod classifier;
mod codebook;
mod convolutional;
mod dense;
mod discriminator;
mod fsq;
mod gaussian;
mod ladder;
mod quantiser;
mod residual;
mod resnet;
mod skip;
mod vgg;
mod vq;

use autograd::Var;
use nn::{ForwardContext, Module};
use tensor::Tensor;

use crate::config::{Config, ModelKind};
use crate::random::Purpose;

pub use classifier::Classifier;
pub use convolutional::Convolutional;
pub use dense::Dense;
pub use discriminator::Discriminator;
pub use ladder::Ladder;
pub use quantiser::Quantised;
pub use resnet::Resnet;
pub use skip::Skip;
pub use vgg::Vgg;
pub use vq::Vq;

/// A variational autoencoder. The names of its parameters begin with `encoder.` and `decoder.`.
///
/// To support `model.conditional`, the encoder must take `config.encoder_channels()` channels and the decoder
/// `config.decoder_inputs()` inputs.
pub trait Vae: Module {
    /// Returns the parameters of the Gaussian posterior q(z|x) of each image of `x` `[batch, channels, size, size]`:
    /// the mean and the logarithm of the variance, each `[batch, z]`. Implementations should clamp the latter so that
    /// its exponential is finite. The models of this crate clamp it to [−30, 20].
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var);

    /// Encodes images, draws their latents with the standard normal noise `eps` `[batch, z]`, and decodes the draws, in one pass.
    /// Returns mu, logvar, and the decoder's output. A hierarchical model implements this: there, the posterior of a latent
    /// depends on latents that were drawn before it, and `encode` returns the one in which each of them is its mean.
    fn encode_drawing(&self, x: &Var, eps: &Tensor, ctx: &ForwardContext) -> Option<[Var; 3]> {
        let _ = (x, eps, ctx);
        None
    }

    /// Decodes latents `z` `[batch, z]` to images before the output activation, `[batch, channels, size, size]`.
    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var;
}

/// Builds the VAE of a configuration. The seed determines its initial weights. `learn::build` also builds models that
/// are not VAEs.
///
/// # Panics
/// If `model.kind` is not a VAE.
#[track_caller]
pub fn build(config: &Config) -> Box<dyn Vae> {
    let mut rng = Purpose::Weights.stream(config.seed, 0);
    match config.model.kind {
        ModelKind::Resnet18 | ModelKind::Resnet50 => Box::new(Resnet::new(&mut rng, config)),
        ModelKind::Vgg11 | ModelKind::Vgg16 | ModelKind::Alexnet => Box::new(Vgg::new(&mut rng, config)),
        ModelKind::Basic | ModelKind::Conv3 => Box::new(Convolutional::new(&mut rng, config)),
        ModelKind::Skip => Box::new(Skip::new(&mut rng, config)),
        ModelKind::Dense => Box::new(Dense::new(&mut rng, config)),
        ModelKind::Ladder => Box::new(Ladder::new(&mut rng, config)),
        kind @ (ModelKind::Classifier | ModelKind::Vq | ModelKind::Fsq) => {
            panic!("{kind} is no VAE: learn::build makes it")
        }
    }
}

/// Clamps logvar to the range of all models.
pub(crate) fn clamp_logvar(logvar: &Var) -> Var {
    logvar.clamp(-30.0, 20.0)
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reparameterise_returns_mean_plus_deviation_times_noise() {
        let mu = Var::leaf(Tensor::new(&[1.0, -1.0], [1, 2]));
        let logvar = Var::leaf(Tensor::new(&[4_f32.ln(), 0.0], [1, 2]));
        let z = mu.reparameterise(&logvar, &Tensor::new(&[3.0, 5.0], [1, 2]));
        assert!((z.value().data()[0] - 7.0).abs() < 1e-5 && z.value().data()[1] == 4.0);
        let gradients = z.sum_all().backward();
        assert_eq!(gradients.of(&mu).unwrap().data(), [1.0, 1.0]);
        let dlogvar = gradients.of(&logvar).unwrap().data(); // ½σ·eps
        assert!((dlogvar[0] - 3.0).abs() < 1e-5 && dlogvar[1] == 2.5);
    }

    #[test]
    fn clamped_logvar_is_finite_and_keeps_nan() {
        let logvar = clamp_logvar(&Var::constant(Tensor::new(&[1e9, -1e9, 3.0, f32::NAN], [4])));
        assert_eq!(logvar.value().data()[..3], [20.0, -30.0, 3.0]);
        assert!(logvar.value().data()[3].is_nan());
    }
}
