//! Models: an encoder x → N(μ, σ²) and a decoder z → x̂.
//!
//! x: [batch, C, S, S] → mu, logvar: [batch, z];  z = mu + exp(logvar/2)·eps, eps ~ N(0, I);  z → logits, shaped as x.
//! logvar comes clamped to [−30, 20], so that no exponential overflows and no variance vanishes.

mod classifier;
mod convolutional;
mod dense;
mod gaussian;
mod residual;
mod resnet;
mod skip;
mod summary;
mod vq;

use autograd::Var;
use nn::{ForwardContext, Module};
use tensor::Tensor;

use crate::config::{Config, ModelKind};
use crate::random::Purpose;

pub use classifier::Classifier;
pub use convolutional::Convolutional;
pub use dense::Dense;
pub use resnet::Resnet;
pub use skip::Skip;
pub use summary::{LayerRow, Summary};
pub use vq::{Quantised, Vq};

/// A variational autoencoder. Its parameters are named `encoder.…` and `decoder.…`.
///
/// If `model.conditional` is to work, the encoder takes `config.encoder_channels()` channels and the decoder
/// `config.decoder_inputs()` numbers.
pub trait Vae: Module {
    /// The Gaussian q(z|x) of each image of `x` `[batch, channels, size, size]`: mean, and logarithm of the variance, each
    /// `[batch, z]`. The latter should be clamped, to [−30, 20] here, where its exponential is still a number.
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var);

    /// What the decoder makes of latents `z` `[batch, z]`, before the output activation: `[batch, channels, size, size]`.
    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var;
}

/// The VAE that a configuration asks for, its weights drawn by the seed; `learn::build` makes the other kinds too.
///
/// # Panics
/// If it asks for another kind.
#[track_caller]
pub fn build(config: &Config) -> Box<dyn Vae> {
    let mut rng = Purpose::Weights.stream(config.seed, 0);
    match config.model.kind {
        ModelKind::Resnet18 | ModelKind::Resnet50 => Box::new(Resnet::new(&mut rng, config)),
        ModelKind::Basic | ModelKind::Conv3 => Box::new(Convolutional::new(&mut rng, config)),
        ModelKind::Skip => Box::new(Skip::new(&mut rng, config)),
        ModelKind::Dense => Box::new(Dense::new(&mut rng, config)),
        kind @ (ModelKind::Classifier | ModelKind::Vq) => panic!("{kind} is no VAE: learn::build makes it"),
    }
}

/// z = mu + exp(logvar/2)·eps: a draw from each Gaussian if eps ~ N(0, I), through which gradients reach both its numbers. All
/// `[batch, z]`. (Kingma and Welling, 1312.6114, section 2.4.)
pub fn reparameterise(mu: &Var, logvar: &Var, eps: &Tensor) -> Var {
    mu + &(logvar.mul_scalar(0.5).exp() * Var::constant(eps.clone()))
}

/// The range of every logvar.
pub(crate) fn clamp_logvar(logvar: &Var) -> Var {
    logvar.clamp(-30.0, 20.0)
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_is_mean_plus_deviation_times_noise() {
        let mu = Var::leaf(Tensor::new(&[1.0, -1.0], [1, 2]));
        let logvar = Var::leaf(Tensor::new(&[4_f32.ln(), 0.0], [1, 2]));
        let z = reparameterise(&mu, &logvar, &Tensor::new(&[3.0, 5.0], [1, 2]));
        assert!((z.value().data()[0] - 7.0).abs() < 1e-5 && z.value().data()[1] == 4.0);
        let gradients = z.sum_all().backward();
        assert_eq!(gradients.of(&mu).unwrap().data(), [1.0, 1.0]);
        let dlogvar = gradients.of(&logvar).unwrap().data(); // ½σ·eps
        assert!((dlogvar[0] - 3.0).abs() < 1e-5 && dlogvar[1] == 2.5);
    }

    #[test]
    fn no_logvar_overflows_and_nan_stays_to_be_seen() {
        let logvar = clamp_logvar(&Var::constant(Tensor::new(&[1e9, -1e9, 3.0, f32::NAN], [4])));
        assert_eq!(logvar.value().data()[..3], [20.0, -30.0, 3.0]);
        assert!(logvar.value().data()[3].is_nan());
    }
}
