//! Convolution (a cross-correlation, as usual in deep learning):
//!   y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, c, s·i + u − p, s·j + v − p],   x = 0 outside the image
//! x: [batch, in, height, width], w: [out, in, kh, kw], bias: [out] → y: [batch, out, (height + 2p − kh)/s + 1, …].
//! Backward: dx is the transposed convolution of dy with w (`conv_transpose2d.rs`), dw correlates x with dy, dbias sums dy.

use std::sync::Arc;

use super::matmul::{Split, Tiles};
use super::winograd::{self, Use};
use crate::cpu::conv;
use crate::cpu::window::{Channels, Window};
use crate::device::{Accelerator, Device};
use crate::kernel::Kernel;
use crate::launch::LaunchBuilder;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::TILE, shaders::CONV2D];
pub(super) static CONV2D: Kernel = Kernel::unchecked(&WGSL, "conv2d").of_any_dtype();

/// The stride and padding of a convolution, the same along height and width: those of PyTorch's `Conv2d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv {
    /// The step between neighbouring positions of the kernel, in pixels, at least 1.
    pub stride: usize,
    /// The number of rows and columns of zeros on each side of the image.
    pub padding: usize,
}

impl Conv {
    /// The output's `[height, width]`, or `None` if the padded image is smaller than the kernel, or its size overflows.
    ///
    /// # Panics
    /// If the stride is 0.
    #[track_caller]
    pub fn output(self, image: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        assert!(self.stride > 0, "a convolution's stride is at least 1");
        let padded = |d: usize| image[d].checked_add(self.padding.checked_mul(2)?);
        let along = |d: usize| Some(padded(d)?.checked_sub(kernel[d])? / self.stride + 1);
        Some([along(0)?, along(1)?])
    }

    pub(crate) fn window(self, batch: usize, input: [usize; 2], output: [usize; 2], kernel: [usize; 2]) -> Window {
        assert!(self.stride > 0, "a convolution's stride is at least 1");
        Window { batch, input, output, kernel, stride: self.stride, padding: self.padding, dilation: 1 }
    }
}

impl Tensor {
    /// Convolution (cross-correlation, PyTorch's `conv2d`) of `[batch, in, height, width]` with `weight` `[out, in, kh, kw]` and
    /// `bias` `[out]` → `[batch, out, (height + 2p − kh)/s + 1, …]`, where x is 0 outside the image:
    ///
    /// ```text
    /// y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v] · x[n, c, s·i + u − p, s·j + v − p]
    /// ```
    ///
    /// # Panics
    /// If channels differ, or the padded image is smaller than the kernel.
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, conv: Conv) -> Tensor {
        let (channels, window) = sizes(self, weight, conv);
        check_bias("conv2d", bias, channels[1]);
        let shape = [window.batch, channels[1], window.output[0], window.output[1]];
        if let Device::Gpu(machine) = self.device() {
            let (split, run) = product(&machine, [weight, self], bias, channels, window);
            return split.sum(run.named("conv2d"), shape.into());
        }
        let inputs: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        Tensor::build("conv2d", &inputs, shape.into(), |y| {
            conv::forward(self.data(), weight.data(), bias.map(Tensor::data), y, Channels::whole(channels), window);
        })
    }

    /// Adds the convolution of `image` with `weight`, without a bias, in place: see [`conv2d`](Tensor::conv2d). If other tensors
    /// share the elements, this one gets a copy first.
    ///
    /// # Panics
    /// If `conv2d` would, or this tensor does not have the shape of its result.
    #[track_caller]
    pub fn add_conv2d(&mut self, image: &Tensor, weight: &Tensor, conv: Conv) {
        let (channels, window) = sizes(image, weight, conv);
        let shape = [window.batch, channels[1], window.output[0], window.output[1]];
        assert_eq!(self.shape()[..], shape, "add_conv2d: {} and a result of {shape:?}", self.shape());
        match image.device() {
            Device::Cpu => self.add_assign(&image.conv2d(weight, None, conv)),
            Device::Gpu(machine) => {
                let (split, run) = product(&machine, [weight, image], None, channels, window);
                split.add_to(run.named("add_conv2d"), self);
            }
        }
    }

    /// The gradient of [`conv2d`](Tensor::conv2d)'s weight, `[out, in, kh, kw]` with `[kh, kw]` = `kernel`, from its input `self`
    /// and its output's gradient `dy`.
    ///
    /// # Panics
    /// If the shapes are not those of one convolution.
    #[track_caller]
    pub fn conv2d_weight_gradient(&self, dy: &Tensor, conv: Conv, kernel: [usize; 2]) -> Tensor {
        let what = "conv2d_weight_gradient";
        let ([batch, cin, height, width], [batch2, cout, oh, ow]) = (self.shape().nchw(what), dy.shape().nchw(what));
        let fits = batch == batch2 && conv.output([height, width], kernel) == Some([oh, ow]);
        assert!(fits, "{what}: image {} and gradient {} with kernel {kernel:?}, {conv:?}", self.shape(), dy.shape());
        let window = conv.window(batch, [height, width], [oh, ow], kernel);
        let shape = [cout, cin, kernel[0], kernel[1]];
        if let Device::Gpu(machine) = self.device() {
            let channels = [cin, cout];
            if winograd::applies(&machine, &window, channels) {
                let (split, run) = winograd::product(&machine, Use::WeightGradient, [dy, self], None, channels, window);
                return split.sum(run.named(what), shape.into());
            }
            let tiles = Tiles::of(&machine, [cout, cin * kernel[0] * kernel[1]], 1, batch * oh * ow);
            let run = specialised(tiles.run(&CONV2D), window).named(what).set("WEIGHT_GRADIENT", 1).set("B_ALONG_K", 1);
            let run = run.read(dy).read(self).read(dy);
            return tiles.split.sum(with_sizes(run, channels, window).params([tiles.split.part]), shape.into());
        }
        Tensor::build(what, &[self, dy], shape.into(), |dw| {
            conv::weight_gradient(self.data(), dy.data(), dw, Channels::whole([cin, cout]), window);
        })
    }
}

/// The channels of the image and of the result of a convolution, and its other sizes.
#[track_caller]
fn sizes(image: &Tensor, weight: &Tensor, conv: Conv) -> ([usize; 2], Window) {
    let [batch, cin, height, width] = image.shape().nchw("conv2d");
    let [cout, cin2, kh, kw] = weight.shape().nchw("conv2d's weight");
    assert_eq!(cin, cin2, "conv2d: image {} with weight {}", image.shape(), weight.shape());
    let Some(output) = conv.output([height, width], [kh, kw]) else {
        panic!("conv2d: image {} too small for {}", image.shape(), weight.shape());
    };
    ([cin, cout], conv.window(batch, [height, width], output, [kh, kw]))
}

/// A launch that computes a convolution of `[weight, image]`, and the parts of its sum.
fn product(
    machine: &Arc<dyn Accelerator>,
    [weight, image]: [&Tensor; 2],
    bias: Option<&Tensor>,
    [cin, cout]: [usize; 2],
    window: Window,
) -> (Split, LaunchBuilder) {
    if winograd::applies(machine, &window, [cin, cout]) {
        return winograd::product(machine, Use::Forward, [weight, image], bias, [cin, cout], window);
    }
    let Window { batch, output, kernel, .. } = window;
    let tiles = Tiles::of(machine, [cout, batch * output[0] * output[1]], 1, cin * kernel[0] * kernel[1]);
    let run = specialised(tiles.run(&CONV2D), window).set("BIASED", usize::from(bias.is_some()));
    let run = run.read(weight).read(image).read(bias.unwrap_or(weight)).dtype(image.dtype());
    (tiles.split, with_sizes(run, [cin, cout], window).params([tiles.split.part]))
}

#[track_caller]
pub(super) fn check_bias(what: &str, bias: Option<&Tensor>, channels: usize) {
    if let Some(bias) = bias {
        assert_eq!(bias.shape()[..], [channels], "{what}: bias {} for {channels} channels", bias.shape());
    }
}

/// Compiles the size and stride of common convolution kernels into the shader.
pub(super) fn specialised(run: LaunchBuilder, window: Window) -> LaunchBuilder {
    match (window.kernel, window.stride) {
        ([kernel @ (1 | 3 | 4 | 7), width], stride @ (1 | 2)) if kernel == width => {
            run.set("KERNEL", kernel).set("STRIDE", stride)
        }
        _ => run,
    }
}

pub(super) fn with_sizes(run: LaunchBuilder, [cin, cout]: [usize; 2], window: Window) -> LaunchBuilder {
    let Window { batch, input, output, kernel, stride, padding, .. } = window;
    run.params([batch, cin, cout]).params(input).params(output).params(kernel).params([stride, padding])
}
