//! y = w ⋆ x + bias:   dx is the adjoint of the convolution at dy,   dw correlates x with dy,   dbias = Σ dy.

use tensor::Conv;

use crate::autocast;
use crate::var::Var;

impl Var {
    /// Convolution of `[batch, in, height, width]` with `weight` `[out, in, kh, kw]` and `bias` `[out]` →
    /// `[batch, out, (height + 2p − kh)/s + 1, …]`: see [`Tensor::conv2d`](tensor::Tensor::conv2d).
    ///
    /// # Panics
    /// If channels differ, or the padded image is smaller than the kernel.
    #[track_caller]
    pub fn conv2d(&self, weight: &Var, bias: Option<&Var>, conv: Conv) -> Var {
        let (x, w) = (autocast::image(self.value()), weight.value().clone());
        let [_, _, height, width] = x.shape().nchw("conv2d");
        let [_, _, kh, kw] = w.shape().nchw("conv2d's weight");
        let y = x.conv2d(&w, bias.map(Var::value), conv);
        Var::record("conv2d", y, |edge| {
            edge.add_to(self, move |dy, sum| match sum {
                None => dy.conv2d_input_gradient(&w, conv, [height, width]),
                Some(mut sum) => {
                    sum.add_conv2d_input_gradient(dy, &w, conv);
                    sum
                }
            });
            edge.to(weight, move |dy| x.conv2d_weight_gradient(dy, conv, [kh, kw]));
            if let Some(bias) = bias {
                edge.to(bias, |dy| dy.sum(&[0, 2, 3], false));
            }
        })
    }
}
