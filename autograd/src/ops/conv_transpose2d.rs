//! y is the adjoint of a convolution, applied to x. So dx is that convolution of dy, and dw is its weight gradient with dy as the
//! input and x as the gradient of the output.   dbias = Σ dy.

use tensor::ConvTranspose;

use crate::autocast;
use crate::var::Var;

impl Var {
    /// Transposed convolution of `[batch, in, height, width]` with `weight` `[in, out, kh, kw]` and `bias` `[out]` →
    /// `[batch, out, (height − 1)·s − 2p + kh + e, …]`: see [`Tensor::conv_transpose2d`](tensor::Tensor::conv_transpose2d).
    ///
    /// # Panics
    /// If channels differ, nothing is left of the output, or the output padding is not less than the stride.
    #[track_caller]
    pub fn conv_transpose2d(&self, weight: &Var, bias: Option<&Var>, conv: ConvTranspose) -> Var {
        let (x, w) = (autocast::image(self.value()), weight.value().clone());
        let [_, _, kh, kw] = w.shape().nchw("conv_transpose2d's weight");
        let y = x.conv_transpose2d(&w, bias.map(Var::value), conv);
        Var::record("conv_transpose2d", y, |edge| {
            edge.add_to(self, move |dy, sum| match sum {
                None => dy.conv2d(&w, None, conv.conv()),
                Some(mut sum) => {
                    sum.add_conv2d(dy, &w, conv.conv());
                    sum
                }
            });
            edge.to(weight, move |dy| dy.conv2d_weight_gradient(&x, conv.conv(), [kh, kw]));
            if let Some(bias) = bias {
                edge.to(bias, |dy| dy.sum(&[0, 2, 3], false));
            }
        })
    }
}
