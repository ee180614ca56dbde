//! Convolution in groups of channels, with gaps between the taps of the kernel:
//!   y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, g·C + c, s·i + d·u − p, s·j + d·v − p],   x = 0 outside the image
//! for the C = in / groups channels of the group g of o. x: [batch, in, height, width], w: [out, C, kh, kw], bias: [out]
//! → y: [batch, out, (height + 2p − d·(kh − 1) − 1)/s + 1, …]. With as many groups as channels it is depthwise.
//!
//! One group without gaps is `conv2d.rs`. On a CPU this computes it with the same algorithms; on a GPU each number is a loop of its own,
//! which is slower.

use super::conv2d::{Conv, check_bias};
use crate::cpu::conv_grouped::{self, Grouped};
use crate::cpu::window::Window;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::launch::LaunchBuilder;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::GROUPED_CONV2D];
pub(super) static FORWARD: Kernel = Kernel::checked(&WGSL, "grouped_conv2d");
pub(super) static INPUT_GRADIENT: Kernel = Kernel::checked(&WGSL, "grouped_conv2d_input_gradient");
pub(super) static WEIGHT_GRADIENT: Kernel = Kernel::checked(&WGSL, "grouped_conv2d_weight_gradient");

/// The stride, padding, dilation and groups of a convolution, the same along height and width: those of PyTorch's `Conv2d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupedConv {
    /// The step between neighbouring positions of the kernel, in pixels, at least 1.
    pub stride: usize,
    /// The number of rows and columns of zeros on each side of the image.
    pub padding: usize,
    /// The step between neighbouring taps of the kernel, in pixels, at least 1.
    pub dilation: usize,
    /// The groups that channels are divided into. An output sees the inputs of its group only.
    pub groups: usize,
}

/// The sizes of one convolution.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    channels: [usize; 2], // in and out
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    conv: GroupedConv,
}

impl Tensor {
    /// Convolution (PyTorch's `conv2d` with `dilation` and `groups`) of `[batch, in, height, width]` with `weight`
    /// `[out, in / groups, kh, kw]` and `bias` `[out]` → `[batch, out, (height + 2p − d·(kh − 1) − 1)/s + 1, …]`. Output o sees the
    /// in / groups channels of its group g, and x is 0 outside the image:
    ///
    /// ```text
    /// y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, g·in/groups + c, s·i + d·u − p, s·j + d·v − p]
    /// ```
    ///
    /// Dilation is that of Yu and Koltun (1511.07122); as many groups as channels are a depthwise convolution (Howard et al.,
    /// 1704.04861).
    ///
    /// # Panics
    /// If channels differ or are not divided by the groups, or the padded image is smaller than the kernel.
    #[track_caller]
    pub fn grouped_conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, conv: GroupedConv) -> Tensor {
        let what = "grouped_conv2d";
        let ([batch, cin, height, width], [cout, _, kh, kw]) = (self.shape().nchw(what), weight.shape().nchw(what));
        let sizes = Sizes::of(what, batch, [cin, cout], [height, width], [kh, kw], conv);
        let fits = weight.shape()[1] * conv.groups == cin;
        assert!(fits, "{what}: image {} with weight {}, {conv:?}", self.shape(), weight.shape());
        check_bias(what, bias, cout);
        let shape = [batch, cout, sizes.output[0], sizes.output[1]];
        if let Device::Gpu(_) = self.device() {
            let run = FORWARD.over(shape.iter().product()).set("BIASED", usize::from(bias.is_some()));
            return sizes.params(run.read(weight).read(self).read(bias.unwrap_or(weight))).write(shape);
        }
        let inputs: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        Tensor::build(what, &inputs, shape.into(), |y| {
            conv_grouped::forward(self.data(), weight.data(), bias.map(Tensor::data), y, sizes.grouped());
        })
    }

    /// The gradient of [`grouped_conv2d`](Tensor::grouped_conv2d)'s input, `[batch, in, height, width]` with `[height, width]` =
    /// `input`, from its weight and its output's gradient, `self`.
    ///
    /// # Panics
    /// If the shapes are not those of one convolution.
    #[track_caller]
    pub fn grouped_conv2d_input_gradient(&self, weight: &Tensor, conv: GroupedConv, input: [usize; 2]) -> Tensor {
        let what = "grouped_conv2d_input_gradient";
        let ([batch, cout, oh, ow], [cout2, per_group, kh, kw]) = (self.shape().nchw(what), weight.shape().nchw(what));
        let cin = per_group * conv.groups;
        let sizes = Sizes::of(what, batch, [cin, cout], input, [kh, kw], conv);
        let fits = cout == cout2 && sizes.output == [oh, ow];
        assert!(fits, "{what}: gradient {} with weight {}, {conv:?}", self.shape(), weight.shape());
        let shape = [batch, cin, input[0], input[1]];
        if let Device::Gpu(_) = self.device() {
            let run = INPUT_GRADIENT.over(shape.iter().product()).read(weight).read(self);
            return sizes.params(run).write(shape);
        }
        Tensor::build(what, &[self, weight], shape.into(), |dx| {
            conv_grouped::adjoint(self.data(), weight.data(), dx, sizes.grouped());
        })
    }

    /// The gradient of [`grouped_conv2d`](Tensor::grouped_conv2d)'s weight, `[out, in / groups, kh, kw]` with `[kh, kw]` = `kernel`,
    /// from its input `self` and its output's gradient `dy`.
    ///
    /// # Panics
    /// If the shapes are not those of one convolution.
    #[track_caller]
    pub fn grouped_conv2d_weight_gradient(&self, dy: &Tensor, conv: GroupedConv, kernel: [usize; 2]) -> Tensor {
        let what = "grouped_conv2d_weight_gradient";
        let ([batch, cin, height, width], [batch2, cout, oh, ow]) = (self.shape().nchw(what), dy.shape().nchw(what));
        let sizes = Sizes::of(what, batch, [cin, cout], [height, width], kernel, conv);
        let fits = batch == batch2 && sizes.output == [oh, ow];
        assert!(fits, "{what}: image {} and gradient {} with {kernel:?}, {conv:?}", self.shape(), dy.shape());
        let shape = [cout, cin / conv.groups, kernel[0], kernel[1]];
        if let Device::Gpu(_) = self.device() {
            let run = WEIGHT_GRADIENT.over(shape.iter().product()).read(dy).read(self);
            return sizes.params(run).write(shape);
        }
        Tensor::build(what, &[self, dy], shape.into(), |dw| {
            conv_grouped::weight_gradient(self.data(), dy.data(), dw, sizes.grouped());
        })
    }
}

impl Sizes {
    #[track_caller]
    fn of(
        what: &str,
        batch: usize,
        channels: [usize; 2],
        input: [usize; 2],
        kernel: [usize; 2],
        conv: GroupedConv,
    ) -> Sizes {
        let GroupedConv { stride, padding, dilation, groups } = conv;
        assert!(stride > 0 && dilation > 0 && groups > 0, "{what}: {conv:?}");
        let divided = channels.iter().all(|channels| channels.is_multiple_of(groups));
        assert!(divided, "{what}: {} and {} channels in {groups} groups", channels[0], channels[1]);
        let spread = kernel.map(|size| dilation.saturating_mul(size.saturating_sub(1)).saturating_add(1));
        let Some(output) = Conv { stride, padding }.output(input, spread) else {
            panic!("{what}: image {input:?} too small for kernel {kernel:?} with {conv:?}");
        };
        Sizes { batch, channels, input, output, kernel, conv }
    }

    fn grouped(&self) -> Grouped {
        let Sizes { batch, channels, input, output, kernel, conv } = *self;
        let GroupedConv { stride, padding, dilation, groups } = conv;
        Grouped { channels, groups, window: Window { batch, input, output, kernel, stride, padding, dilation } }
    }

    fn params(&self, run: LaunchBuilder) -> LaunchBuilder {
        let GroupedConv { stride, padding, dilation, groups } = self.conv;
        let run = run.params([self.batch]).params(self.channels).params(self.input).params(self.output);
        run.params(self.kernel).params([stride, padding, dilation, groups])
    }
}
