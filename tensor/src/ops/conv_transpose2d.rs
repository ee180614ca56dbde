//! Transposed convolution, the adjoint of a convolution with the same weight:
//!   y[n, c, q] = bias[c] + Σ_{o,t} w[o, c, t] · x[n, o, i]   over all i, t with s·i + t − p = q
//! x: [batch, in, height, width], w: [in, out, kh, kw], bias: [out] → y: [batch, out, (height − 1)·s − 2p + kh + e, …],
//! where e is the output padding: a convolution maps s image sizes to the size of x, and e selects one of them.
//! Backward: dx is the convolution of dy, dw its weight gradient with x and dy exchanged.
//! The gradient of a convolution's input is a transposed convolution too, so it is in this file.

use std::sync::Arc;

use super::conv2d::{Conv, check_bias, specialised, with_sizes};
use super::matmul::{Split, Tiles};
use super::winograd::{self, Use};
use crate::cpu::conv;
use crate::cpu::window::{Channels, Window};
use crate::device::{Accelerator, Device};
use crate::kernel::Kernel;
use crate::launch::LaunchBuilder;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::TILE, shaders::CONV_TRANSPOSE2D];
pub(super) static CONV_TRANSPOSE2D: Kernel = Kernel::unchecked(&WGSL, "conv_transpose2d").of_any_dtype();

/// The stride and paddings of a transposed convolution, the same along height and width: `stride`, `padding` and `output_padding`
/// of PyTorch's `ConvTranspose2d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConvTranspose {
    /// The step in the output between neighbouring input pixels, at least 1.
    pub stride: usize,
    /// The number of rows and columns cut off on each side of the output.
    pub padding: usize,
    /// The number of rows and columns added at the end of the output, less than the stride.
    pub output_padding: usize,
}

impl ConvTranspose {
    /// The convolution of which this is the adjoint.
    pub fn conv(self) -> Conv {
        Conv { stride: self.stride, padding: self.padding }
    }

    /// The output's `[height, width]`, or `None` if nothing is left of it.
    pub fn output(self, image: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |d: usize| {
            let spread = image[d].checked_sub(1)?.checked_mul(self.stride)?;
            let whole = spread.checked_add(kernel[d])?.checked_add(self.output_padding)?;
            whole.checked_sub(self.padding.checked_mul(2)?).filter(|&size| size > 0)
        };
        Some([along(0)?, along(1)?])
    }
}

impl Tensor {
    /// Transposed convolution (PyTorch's `conv_transpose2d`) of `[batch, in, height, width]` with `weight` `[in, out, kh, kw]` and
    /// `bias` `[out]` → `[batch, out, (height − 1)·s − 2p + kh + e, …]`, e the output padding:
    ///
    /// ```text
    /// y[n, c, q] = bias[c] + Σ_{o,t} w[o, c, t] · x[n, o, i]   over all i, t with s·i + t − p = q
    /// ```
    ///
    /// # Panics
    /// If channels differ, nothing is left of the output, or the output padding is not less than the stride.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Tensor, bias: Option<&Tensor>, conv: ConvTranspose) -> Tensor {
        let what = "conv_transpose2d";
        let [_, _, height, width] = self.shape().nchw(what);
        let [_, _, kh, kw] = weight.shape().nchw("conv_transpose2d's weight");
        assert!(conv.output_padding < conv.stride, "{what}: output padding must be less than the stride, got {conv:?}");
        let Some(output) = conv.output([height, width], [kh, kw]) else {
            panic!("{what}: {} leaves no output with {conv:?}", self.shape());
        };
        adjoint(what, self, weight, bias, conv.conv(), output)
    }

    /// The gradient of [`conv2d`](Tensor::conv2d)'s input, `[batch, in, height, width]` with `[height, width]` = `input`, from its
    /// output's gradient `self`.
    ///
    /// # Panics
    /// If the shapes are not those of one convolution.
    #[track_caller]
    pub fn conv2d_input_gradient(&self, weight: &Tensor, conv: Conv, input: [usize; 2]) -> Tensor {
        adjoint("conv2d_input_gradient", self, weight, None, conv, input)
    }

    /// Adds the gradient of a convolution's input in place, `dy` being the gradient of its output: see
    /// [`conv2d_input_gradient`](Tensor::conv2d_input_gradient). If other tensors share the elements, this one gets a copy first.
    ///
    /// # Panics
    /// If the shapes are not those of one convolution.
    #[track_caller]
    pub fn add_conv2d_input_gradient(&mut self, dy: &Tensor, weight: &Tensor, conv: Conv) {
        let what = "add_conv2d_input_gradient";
        let [batch, cin, height, width] = self.shape().nchw(what);
        let (channels, window) = sizes(what, dy, weight, conv, [height, width]);
        let same = [batch, cin] == [window.batch, channels[0]];
        assert!(same, "{what}: {} from {} with weight {}", self.shape(), dy.shape(), weight.shape());
        match dy.device() {
            Device::Cpu => self.add_assign(&dy.conv2d_input_gradient(weight, conv, [height, width])),
            Device::Gpu(machine) => {
                let (split, run) = product(&machine, [weight, dy], None, channels, window);
                split.add_to(run.named(what), self);
            }
        }
    }
}

/// The adjoint of a convolution with `weight` `[out, in, kh, kw]`: `y` `[batch, out, …]` → `[batch, in, input]`.
#[track_caller]
fn adjoint(
    what: &'static str,
    y: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    conv: Conv,
    input: [usize; 2],
) -> Tensor {
    let (channels, window) = sizes(what, y, weight, conv, input);
    check_bias(what, bias, channels[0]);
    let shape = [window.batch, channels[0], input[0], input[1]];
    if let Device::Gpu(machine) = y.device() {
        let (split, run) = product(&machine, [weight, y], bias, channels, window);
        return split.sum(run.named(what), shape.into());
    }
    let inputs: Vec<&Tensor> = [y, weight].into_iter().chain(bias).collect();
    Tensor::build(what, &inputs, shape.into(), |x| {
        conv::adjoint(y.data(), weight.data(), bias.map(Tensor::data), x, Channels::whole(channels), window);
    })
}

/// The channels of x and y, and the other sizes of the convolution whose adjoint maps `y` to an image of `input`.
#[track_caller]
fn sizes(what: &str, y: &Tensor, weight: &Tensor, conv: Conv, input: [usize; 2]) -> ([usize; 2], Window) {
    let [batch, cout, oh, ow] = y.shape().nchw(what);
    let [cout2, cin, kh, kw] = weight.shape().nchw(what);
    let fits = cout == cout2 && conv.output(input, [kh, kw]) == Some([oh, ow]);
    assert!(fits, "{what}: {} with weight {} to an image of {input:?}, {conv:?}", y.shape(), weight.shape());
    ([cin, cout], conv.window(batch, input, [oh, ow], [kh, kw]))
}

/// A launch that computes the adjoint of a convolution from `[weight, y]`, and the parts of its sum.
fn product(
    machine: &Arc<dyn Accelerator>,
    [weight, y]: [&Tensor; 2],
    bias: Option<&Tensor>,
    [cin, cout]: [usize; 2],
    window: Window,
) -> (Split, LaunchBuilder) {
    if winograd::applies(machine, &window, [cin, cout]) {
        return winograd::product(machine, Use::InputGradient, [weight, y], bias, [cin, cout], window);
    }
    // A layer of the grid is one phase, or one part of its sum. The largest phase with the longest sum determines the grid.
    let Window { batch, input, kernel, stride, .. } = window;
    assert!(stride < 256, "conv_transpose2d: a GPU takes strides up to 255, not {stride}"); // a grid has at most 65,535 layers
    let along = |d: usize| input[d].div_ceil(stride);
    let taps = kernel[0].div_ceil(stride) * kernel[1].div_ceil(stride);
    let tiles = Tiles::of(machine, [cin, batch * along(0) * along(1)], stride * stride, cout * taps);
    let run = specialised(tiles.run(&CONV_TRANSPOSE2D), window).set("BIASED", usize::from(bias.is_some()));
    let run = run.read(weight).read(y).read(bias.unwrap_or(weight)).dtype(y.dtype());
    (tiles.split, with_sizes(run, [cin, cout], window).params([tiles.split.parts]))
}
