//! Convolutions with square kernels: [batch, in, height, width] → [batch, out, …].
//! Weights: [out, in, k, k], transposed [in, out, k, k]; biases: [out].

use autograd::{Param, Var};
use tensor::{Conv, ConvTranspose, Generator};

use crate::init::weight_and_bias;
use crate::module::{ForwardContext, Layer, Module, Visitor};

/// A convolution, PyTorch's `Conv2d`: `[batch, in, height, width]` → `[batch, out, (height + 2p − k)/s + 1, …]`. Weight
/// `[out, in, k, k]`, bias `[out]`.
#[derive(Debug)]
pub struct Conv2d {
    weight: Param,
    bias: Option<Param>,
    conv: Conv,
}

impl Conv2d {
    /// A layer from `input` to `output` channels with a `kernel`×`kernel` weight and, if `bias` is set, a bias. Both are initialised
    /// uniformly in ±1/√fan_in, PyTorch's default.
    pub fn new(rng: &mut Generator, input: usize, output: usize, kernel: usize, conv: Conv, bias: bool) -> Conv2d {
        let (weight, offset) = weight_and_bias(rng, [output, input, kernel, kernel], output);
        Conv2d { weight, bias: bias.then_some(offset), conv }
    }
}

/// A transposed convolution, PyTorch's `ConvTranspose2d`: `[batch, in, height, width]` →
/// `[batch, out, (height − 1)·s − 2p + k + e, …]`, where e is the output padding. Weight `[in, out, k, k]`, bias `[out]`.
#[derive(Debug)]
pub struct ConvTranspose2d {
    weight: Param,
    bias: Option<Param>,
    conv: ConvTranspose,
}

impl ConvTranspose2d {
    /// A layer from `input` to `output` channels with a `kernel`×`kernel` weight and, if `bias` is set, a bias. Both are initialised
    /// uniformly in ±1/√fan_in, PyTorch's default, where fan_in is output·kernel².
    pub fn new(
        rng: &mut Generator,
        input: usize,
        output: usize,
        kernel: usize,
        conv: ConvTranspose,
        bias: bool,
    ) -> ConvTranspose2d {
        let (weight, offset) = weight_and_bias(rng, [input, output, kernel, kernel], output);
        ConvTranspose2d { weight, bias: bias.then_some(offset), conv }
    }
}

impl Module for Conv2d {
    fn visit(&self, v: &mut Visitor) {
        visit(v, &self.weight, &self.bias);
    }
}

impl Module for ConvTranspose2d {
    fn visit(&self, v: &mut Visitor) {
        visit(v, &self.weight, &self.bias);
    }
}

fn visit(v: &mut Visitor, weight: &Param, bias: &Option<Param>) {
    v.param("weight", weight);
    if let Some(bias) = bias {
        v.param("bias", bias);
    }
}

impl Layer for Conv2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let bias = self.bias.as_ref().map(Param::var);
        let y = x.conv2d(&self.weight.var(), bias.as_ref(), self.conv);
        ctx.record_output(&self.weight, &y);
        y
    }
}

impl Layer for ConvTranspose2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let bias = self.bias.as_ref().map(Param::var);
        let y = x.conv_transpose2d(&self.weight.var(), bias.as_ref(), self.conv);
        ctx.record_output(&self.weight, &y);
        y
    }
}
