//! Activations as layers.

use autograd::Var;

use crate::module::{ForwardContext, Layer};

/// A function that is applied to each element of a tensor of any shape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Activation {
    /// x.
    Identity,
    /// max(x, 0).
    Relu,
    /// x above 0, slope·x below.
    LeakyRelu(f32),
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x·Φ(x), where Φ is the distribution function of the normal distribution.
    Gelu,
    /// x·σ(x), where σ is the logistic function.
    Silu,
}

impl Activation {
    /// The function's value.
    pub fn apply(self, x: &Var) -> Var {
        match self {
            Activation::Identity => x.clone(),
            Activation::Relu => x.relu(),
            Activation::LeakyRelu(slope) => x.leaky_relu(slope),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
        }
    }
}

crate::module!(Activation {});

impl Layer for Activation {
    fn forward(&self, x: &Var, _: &ForwardContext) -> Var {
        self.apply(x)
    }
}
