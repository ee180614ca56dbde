//! Convolutions with square kernels: [batch, in, height, width] → [batch, out, …].
//! Weights: [out, in/groups, k, k], transposed [in, out, k, k]; biases: [out].

use autograd::{Param, Var};
use tensor::{Conv, ConvTranspose, Generator, GroupedConv};

use crate::init::weight_and_bias;
use crate::module::{ForwardContext, Layer};
use crate::spectral_norm::Weighted;

/// A convolution, PyTorch's `Conv2d`: `[batch, in, height, width]` → `[batch, out, (height + 2p − d·(k − 1) − 1)/s + 1, …]`, where
/// s is the stride, p the padding and d the dilation. Weight `[out, in/groups, k, k]`, bias `[out]`.
///
/// ```
/// # use {nn::{Conv2d, ForwardContext, Layer}, autograd::Var, tensor::{Generator, Tensor}};
/// let layer = Conv2d::new(&mut Generator::new(1), 3, 8, 3).stride(2).padding(1).no_bias();
/// let y = layer.forward(&Var::constant(Tensor::zeros([1, 3, 32, 32])), &ForwardContext::eval());
/// assert_eq!(y.shape()[..], [1, 8, 16, 16]);
/// ```
#[derive(Debug)]
pub struct Conv2d {
    weight: Param,
    bias: Option<Param>,
    conv: GroupedConv,
}

impl Conv2d {
    /// A layer from `input` to `output` channels with a `kernel`×`kernel` weight, stride 1, no padding and a bias. Weight and bias are
    /// initialised uniformly in ±1/√fan_in, PyTorch's default.
    ///
    /// # Panics
    /// If the kernel has size 0.
    #[track_caller]
    pub fn new(rng: &mut Generator, input: usize, output: usize, kernel: usize) -> Conv2d {
        Conv2d::grouped(rng, input, output, kernel, 1)
    }

    /// A layer whose channels are divided into groups: an output sees the inputs of its group only. With as many groups as inputs it
    /// is a depthwise convolution. Stride, padding, bias and initialisation are those of [`new`](Conv2d::new), fan_in is that of a
    /// group.
    ///
    /// # Panics
    /// If the kernel has size 0, or the groups do not divide both numbers of channels.
    #[track_caller]
    pub fn grouped(rng: &mut Generator, input: usize, output: usize, kernel: usize, groups: usize) -> Conv2d {
        assert!(kernel > 0, "Conv2d: the kernel has size 0");
        let divided = groups > 0 && input.is_multiple_of(groups) && output.is_multiple_of(groups);
        assert!(divided, "Conv2d: {groups} groups do not divide {input} inputs and {output} outputs");
        let (weight, bias) = weight_and_bias(rng, [output, input / groups, kernel, kernel], output);
        Conv2d { weight, bias: Some(bias), conv: GroupedConv { stride: 1, padding: 0, dilation: 1, groups } }
    }

    /// The step between neighbouring positions of the kernel, in pixels.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn stride(mut self, stride: usize) -> Conv2d {
        assert!(stride > 0, "Conv2d: the stride is 0");
        self.conv.stride = stride;
        self
    }

    /// The number of rows and columns of zeros on each side of the image.
    pub fn padding(mut self, padding: usize) -> Conv2d {
        self.conv.padding = padding;
        self
    }

    /// The step between neighbouring taps of the kernel, in pixels.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn dilation(mut self, dilation: usize) -> Conv2d {
        assert!(dilation > 0, "Conv2d: the dilation is 0");
        self.conv.dilation = dilation;
        self
    }

    /// Without a bias. Its random numbers are drawn all the same, so that what is initialised after it does not change.
    pub fn no_bias(mut self) -> Conv2d {
        self.bias = None;
        self
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
    /// A layer from `input` to `output` channels with a `kernel`×`kernel` weight, stride 1, no padding and a bias. Weight and bias are
    /// initialised uniformly in ±1/√fan_in, PyTorch's default, where fan_in is output·kernel².
    ///
    /// # Panics
    /// If the kernel has size 0.
    #[track_caller]
    pub fn new(rng: &mut Generator, input: usize, output: usize, kernel: usize) -> ConvTranspose2d {
        assert!(kernel > 0, "ConvTranspose2d: the kernel has size 0");
        let (weight, bias) = weight_and_bias(rng, [input, output, kernel, kernel], output);
        let conv = ConvTranspose { stride: 1, padding: 0, output_padding: 0 };
        ConvTranspose2d { weight, bias: Some(bias), conv }
    }

    /// The step in the output between neighbouring input pixels.
    ///
    /// # Panics
    /// If it is not above the output padding.
    #[track_caller]
    pub fn stride(mut self, stride: usize) -> ConvTranspose2d {
        self.conv.stride = stride;
        self.checked()
    }

    /// The number of rows and columns cut off on each side of the output.
    pub fn padding(mut self, padding: usize) -> ConvTranspose2d {
        self.conv.padding = padding;
        self
    }

    /// The number of rows and columns added at the end of the output. The stride, which must be larger, is set before.
    ///
    /// # Panics
    /// If it is not below the stride.
    #[track_caller]
    pub fn output_padding(mut self, output_padding: usize) -> ConvTranspose2d {
        self.conv.output_padding = output_padding;
        self.checked()
    }

    /// Without a bias. Its random numbers are drawn all the same, so that what is initialised after it does not change.
    pub fn no_bias(mut self) -> ConvTranspose2d {
        self.bias = None;
        self
    }

    #[track_caller]
    fn checked(self) -> ConvTranspose2d {
        let ConvTranspose { stride, output_padding, .. } = self.conv;
        assert!(
            output_padding < stride,
            "ConvTranspose2d: output padding {output_padding} is not below stride {stride}"
        );
        self
    }
}

crate::module!(Conv2d { weight, bias });
crate::module!(ConvTranspose2d { weight, bias });

impl Layer for Conv2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.forward_with(x, &self.weight.var(), ctx)
    }
}

impl Weighted for Conv2d {
    fn weight(&self) -> &Param {
        &self.weight
    }

    fn forward_with(&self, x: &Var, weight: &Var, ctx: &ForwardContext) -> Var {
        let bias = self.bias.as_ref().map(Param::var);
        let y = match self.conv {
            GroupedConv { stride, padding, dilation: 1, groups: 1 } => {
                x.conv2d(weight, bias.as_ref(), Conv { stride, padding }) // the fast one
            }
            conv => x.grouped_conv2d(weight, bias.as_ref(), conv),
        };
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
