//! Convolution in groups of channels, with gaps between the taps of the kernel:
//!   y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, g·C + c, s·i + d·u − p, s·j + d·v − p],   x = 0 outside the image
//! for the C = in / groups channels of the group g of o. x: [batch, in, height, width], w: [out, C, kh, kw], bias: [out]
//! → y: [batch, out, (height + 2p − d·(kh − 1) − 1)/s + 1, …]. With as many groups as channels it is depthwise.
//!
//! These are loops over the taps, each of which adds a multiple of one row to another. One group without gaps is `conv2d.rs`, which
//! is faster.

use std::ops::Range;

use super::conv2d::{Conv, check_bias};
use crate::cpu::parallel;
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
        let (x, w, bias_of) = (self.data(), weight.data(), bias.map(Tensor::data));
        let [per_group, _] = sizes.per_group();
        let inputs: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        Tensor::build(what, &inputs, shape.into(), |y| {
            parallel::for_each_row_of(y, sizes.output_len(), sizes.work() * per_group, |plane, y| {
                let (n, o) = (plane / cout, plane % cout);
                y.fill(bias_of.map_or(0.0, |bias| bias[o]));
                for c in 0..per_group {
                    let x = &x[(n * cin + sizes.first_input(o) + c) * sizes.input_len()..][..sizes.input_len()];
                    for tap in 0..kh * kw {
                        let weight = w[(o * per_group + c) * kh * kw + tap];
                        sizes.rows(tap, |outputs, first| {
                            let inputs = x[first..].iter().step_by(conv.stride);
                            y[outputs].iter_mut().zip(inputs).for_each(|(y, &x)| *y += weight * x);
                        });
                    }
                }
            });
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
        let (dy, w) = (self.data(), weight.data());
        let [_, outputs] = sizes.per_group();
        Tensor::build(what, &[self, weight], shape.into(), |dx| {
            parallel::for_each_row_of(dx, sizes.input_len(), sizes.work() * outputs, |plane, dx| {
                let (n, channel) = (plane / cin, plane % cin);
                let (group, c) = (channel / per_group, channel % per_group);
                dx.fill(0.0);
                for o in group * outputs..(group + 1) * outputs {
                    let dy = &dy[(n * cout + o) * sizes.output_len()..][..sizes.output_len()];
                    for tap in 0..kh * kw {
                        let weight = w[(o * per_group + c) * kh * kw + tap];
                        sizes.rows(tap, |outputs, first| {
                            let inputs = dx[first..].iter_mut().step_by(conv.stride);
                            inputs.zip(&dy[outputs]).for_each(|(dx, &dy)| *dx += weight * dy);
                        });
                    }
                }
            });
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
        let [per_group, _] = sizes.per_group();
        let shape = [cout, per_group, kernel[0], kernel[1]];
        if let Device::Gpu(_) = self.device() {
            let run = WEIGHT_GRADIENT.over(shape.iter().product()).read(dy).read(self);
            return sizes.params(run).write(shape);
        }
        let (inputs, x, dy) = ([self, dy], self.data(), dy.data());
        Tensor::build(what, &inputs, shape.into(), |dw| {
            let taps = kernel[0] * kernel[1];
            parallel::for_each_row_of(dw, taps, sizes.work() * batch, |row, dw| {
                let (o, c) = (row / per_group, row % per_group);
                for (tap, dw) in dw.iter_mut().enumerate() {
                    let mut sum = 0.0f64;
                    for n in 0..batch {
                        let channel = sizes.first_input(o) + c;
                        let x = &x[(n * cin + channel) * sizes.input_len()..][..sizes.input_len()];
                        let dy = &dy[(n * cout + o) * sizes.output_len()..][..sizes.output_len()];
                        sizes.rows(tap, |outputs, first| {
                            let products = dy[outputs].iter().zip(x[first..].iter().step_by(conv.stride));
                            sum += products.map(|(&dy, &x)| f64::from(dy) * f64::from(x)).sum::<f64>();
                        });
                    }
                    *dw = sum as f32;
                }
            });
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
        let spread = kernel.map(|size| dilation * size.saturating_sub(1) + 1);
        let Some(output) = Conv { stride, padding }.output(input, spread) else {
            panic!("{what}: image {input:?} too small for kernel {kernel:?} with {conv:?}");
        };
        Sizes { batch, channels, input, output, kernel, conv }
    }

    /// The inputs and the outputs of a group.
    fn per_group(&self) -> [usize; 2] {
        self.channels.map(|channels| channels / self.conv.groups)
    }

    /// The first input that an output sees.
    fn first_input(&self, output: usize) -> usize {
        let [inputs, outputs] = self.per_group();
        output / outputs * inputs
    }

    fn input_len(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Products of one input channel and one output channel of an image.
    fn work(&self) -> usize {
        self.output_len() * self.kernel[0] * self.kernel[1]
    }

    /// Calls `row` for each row of the output that a tap reaches: with the outputs, and the pixel that the first one reads. The next
    /// ones read every `stride`-th pixel after it.
    fn rows(&self, tap: usize, mut row: impl FnMut(Range<usize>, usize)) {
        let GroupedConv { stride, padding, dilation, .. } = self.conv;
        let (u, v) = (dilation * (tap / self.kernel[1]), dilation * (tap % self.kernel[1]));
        // Outputs i with 0 ≤ s·i + offset − p < size.
        let reached = |offset: usize, size: usize, outputs: usize| {
            let first = padding.saturating_sub(offset).div_ceil(stride);
            let end = (size + padding).saturating_sub(offset).div_ceil(stride).min(outputs);
            first.min(end)..end
        };
        let columns = reached(v, self.input[1], self.output[1]);
        if columns.is_empty() {
            return;
        }
        for i in reached(u, self.input[0], self.output[0]) {
            let (start, pixel) = (i * self.output[1], (stride * i + u - padding) * self.input[1]);
            row(start + columns.start..start + columns.end, pixel + stride * columns.start + v - padding);
        }
    }

    fn params(&self, run: LaunchBuilder) -> LaunchBuilder {
        let GroupedConv { stride, padding, dilation, groups } = self.conv;
        let run = run.params([self.batch]).params(self.channels).params(self.input).params(self.output);
        run.params(self.kernel).params([stride, padding, dilation, groups])
    }
}
