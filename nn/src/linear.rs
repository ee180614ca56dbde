//! y = x·Wᵀ + b:  […, in] → […, out], W: [out, in], b: [out].

use autograd::{Param, Var};
use tensor::{Generator, Tensor};

use crate::init::weight_and_bias;
use crate::module::{ForwardContext, Layer};
use crate::spectral_norm::Weighted;

/// A linear layer, y = x·Wᵀ + b (PyTorch's `Linear`): `[…, in]` → `[…, out]`. W `[out, in]`, b `[out]`.
#[derive(Debug)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
}

impl Linear {
    /// A layer from `input` to `output` features. Weight and bias are initialised uniformly in ±1/√input, PyTorch's default.
    pub fn new(rng: &mut Generator, input: usize, output: usize) -> Linear {
        let (weight, bias) = weight_and_bias(rng, [output, input], output);
        Linear { weight, bias: Some(bias) }
    }

    /// With a bias of 0.
    pub(crate) fn zero_bias(self) -> Linear {
        if let Some(bias) = &self.bias {
            bias.set(Tensor::zeros(bias.shape()));
        }
        self
    }

    /// Without a bias. Its random numbers are drawn all the same, so that what is initialised after it does not change.
    pub fn no_bias(mut self) -> Linear {
        self.bias = None;
        self
    }
}

crate::module!(Linear { weight, bias });

impl Layer for Linear {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.forward_with(x, &self.weight.var(), ctx)
    }
}

impl Weighted for Linear {
    fn weight(&self) -> &Param {
        &self.weight
    }

    fn forward_with(&self, x: &Var, weight: &Var, ctx: &ForwardContext) -> Var {
        let y = rows(x).matmul_nt(weight);
        let y = match &self.bias {
            Some(bias) => y + bias.var(),
            None => y,
        };
        let y = match x.shape().split_last() {
            Some((_, front)) if front.len() != 1 => y.reshape(&[front, &y.shape()[1..]].concat()[..]),
            _ => y,
        };
        ctx.record_output(&self.weight, &y);
        y
    }
}

/// `[…, features]` as a matrix. A scalar stays, and the product refuses it.
fn rows(x: &Var) -> Var {
    match x.shape().split_last() {
        Some((features, front)) if front.len() != 1 => x.reshape([front.iter().product(), *features]),
        _ => x.clone(),
    }
}
