//! Layer normalisation: y = w·(x − μ)/√(σ² + ε) + b, where μ and σ² are those of the last dimensions of each place.

use autograd::{Param, Var};
use tensor::{Shape, Tensor};

use crate::module::{ForwardContext, Layer};
use crate::norm::checked_eps;

/// Normalisation over the last dimensions, PyTorch's `LayerNorm` (Ba, Kiros and Hinton, 1607.06450):
/// `y = w·(x − μ)/√(σ² + ε) + b`, x and y `[…, normalized…]`. Weight and bias have the normalised shape.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Option<Param>,
    bias: Option<Param>,
    normalized: Shape,
    eps: f32,
}

impl LayerNorm {
    /// A layer over last dimensions of these sizes, with scale 1, shift 0 and ε = 1e-5.
    pub fn new(normalized: impl Into<Shape>) -> LayerNorm {
        let normalized = normalized.into();
        LayerNorm {
            weight: Some(Param::new(Tensor::ones(normalized))),
            bias: Some(Param::new(Tensor::zeros(normalized))),
            normalized,
            eps: 1e-5,
        }
    }

    /// The ε that is added to the variance.
    ///
    /// # Panics
    /// Unless it is positive and finite.
    #[track_caller]
    pub fn eps(mut self, eps: f32) -> LayerNorm {
        self.eps = checked_eps("LayerNorm", eps);
        self
    }

    /// Without a shift.
    pub fn no_bias(mut self) -> LayerNorm {
        self.bias = None;
        self
    }

    /// Without scale and shift (PyTorch's `elementwise_affine=False`).
    pub fn no_affine(mut self) -> LayerNorm {
        (self.weight, self.bias) = (None, None);
        self
    }
}

crate::module!(LayerNorm { weight, bias });

impl Layer for LayerNorm {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let [weight, bias] = [&self.weight, &self.bias].map(|param| param.as_ref().map(Param::var));
        let y = x.layer_norm(self.normalized, weight.as_ref(), bias.as_ref(), self.eps);
        self.weight.iter().for_each(|weight| ctx.record_output(weight, &y));
        y
    }
}
