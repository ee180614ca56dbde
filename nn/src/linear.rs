//! y = x·Wᵀ + b:  [batch, in] → [batch, out], W: [out, in], b: [out].

use autograd::{Param, Var};
use tensor::Generator;

use crate::init::weight_and_bias;
use crate::module::{ForwardContext, Layer, Module, Visitor};

/// A linear layer, y = x·Wᵀ + b (PyTorch's `Linear`): `[batch, in]` → `[batch, out]`. W `[out, in]`, b `[out]`.
#[derive(Debug)]
pub struct Linear {
    weight: Param,
    bias: Param,
}

impl Linear {
    /// A layer from `input` to `output` features. Weight and bias are initialised uniformly in ±1/√input, PyTorch's default.
    pub fn new(rng: &mut Generator, input: usize, output: usize) -> Linear {
        let (weight, bias) = weight_and_bias(rng, [output, input], output);
        Linear { weight, bias }
    }
}

impl Module for Linear {
    fn visit(&self, v: &mut Visitor) {
        v.param("weight", &self.weight);
        v.param("bias", &self.bias);
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let y = x.matmul_nt(&self.weight.var()) + self.bias.var();
        ctx.record_output(&self.weight, &y);
        y
    }
}
