//! Transposed convolution, the adjoint of a convolution with the same weight:
//!   y[n, c, q] = bias[c] + Σ_{o,t} w[o, c, t] · x[n, o, i]   over all i, t with s·i + t − p = q
//! x: [batch, in, height, width], w: [in, out, kh, kw], bias: [out] → y: [batch, out, (height − 1)·s − 2p + kh + e, …],
//! where e, the output padding, chooses among the s sizes that a convolution would map onto x's.
//! Backward needs x and w: dx is the convolution, dw its weight gradient with x and dy exchanged.

use super::conv2d::{Conv, adjoint};
use crate::kernel::{GRID, Kernel, TILE};
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [GRID, TILE, include_str!("../../../shaders/conv_transpose2d.wgsl")];
pub(super) static CONV_TRANSPOSE2D: Kernel = Kernel::unchecked(&WGSL, "conv_transpose2d");

/// How a transposed convolution slides, the same along height and width: `stride`, `padding` and `output_padding` of PyTorch's
/// `ConvTranspose2d`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConvTranspose {
    /// Output pixels between the traces of neighbouring input pixels, at least 1.
    pub stride: usize,
    /// Rows and columns cut off around the output.
    pub padding: usize,
    /// Rows and columns added at the output's end, less than the stride.
    pub output_padding: usize,
}

impl ConvTranspose {
    /// The convolution that this one is the adjoint of.
    pub fn conv(self) -> Conv {
        Conv { stride: self.stride, padding: self.padding }
    }

    /// The output's `[height, width]`, or `None` if nothing is left of it.
    pub fn output(self, image: [usize; 2], kernel: [usize; 2]) -> Option<[usize; 2]> {
        let along = |d: usize| {
            let whole = image[d].checked_sub(1)? * self.stride + kernel[d] + self.output_padding;
            whole.checked_sub(2 * self.padding).filter(|&size| size > 0)
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
}
