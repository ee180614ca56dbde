//! The heads of an encoder: two linear layers from its features h, `[batch, features]`, to a Gaussian.
//!
//! ```text
//! mu = A·h + a,   logvar = clamp(B·h + b, −30, 20)
//! ```

use autograd::Var;
use nn::{ForwardContext, Layer, Linear};
use tensor::Generator;

use super::clamp_logvar;

/// The heads of an encoder. Their parameters are named `encoder.mu` and `encoder.logvar`, without a level in between.
pub(super) struct Gaussian {
    mu: Linear,
    logvar: Linear,
}

impl Gaussian {
    pub(super) fn new(rng: &mut Generator, features: usize, z_dim: usize) -> Gaussian {
        Gaussian { mu: Linear::new(rng, features, z_dim), logvar: Linear::new(rng, features, z_dim) }
    }

    pub(super) fn forward(&self, features: &Var, ctx: &ForwardContext) -> (Var, Var) {
        (self.mu.forward(features, ctx), clamp_logvar(&self.logvar.forward(features, ctx)))
    }
}

nn::module!(Gaussian { mu, logvar });
