//! The Gaussian of an image, from its encoder's features h, `[batch, features]`: two linear layers.
//!
//! mu = A·h + a,   logvar = clamp(B·h + b, −30, 20)

use autograd::Var;
use nn::{ForwardContext, Layer, Linear, Module, Visitor};
use tensor::Generator;

use super::clamp_logvar;

/// An encoder's heads, whose parameters bear no name of their own between the encoder's and theirs.
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

impl Module for Gaussian {
    fn visit(&self, v: &mut Visitor) {
        v.child("mu", &self.mu);
        v.child("logvar", &self.logvar);
    }
}
