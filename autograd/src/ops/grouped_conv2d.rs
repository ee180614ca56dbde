//! y = w ⋆ x + bias in groups of channels:   dx is the adjoint of the convolution at dy,   dw correlates x with dy,   dbias = Σ dy.

use tensor::GroupedConv;

use crate::var::Var;

impl Var {
    /// Convolution with dilation and groups of `[batch, in, height, width]` with `weight` `[out, in / groups, kh, kw]` and `bias`
    /// `[out]`: see [`Tensor::grouped_conv2d`](tensor::Tensor::grouped_conv2d).
    ///
    /// # Panics
    /// If channels differ or are not divided by the groups, or the padded image is smaller than the kernel.
    #[track_caller]
    pub fn grouped_conv2d(&self, weight: &Var, bias: Option<&Var>, conv: GroupedConv) -> Var {
        let (x, w) = (self.value().clone(), weight.value().clone());
        let y = x.grouped_conv2d(&w, bias.map(Var::value), conv);
        let ([_, _, height, width], [_, _, kh, kw]) = (x.shape().nchw("x"), w.shape().nchw("w"));
        Var::record("grouped_conv2d", y, |edge| {
            edge.to(self, move |dy| dy.grouped_conv2d_input_gradient(&w, conv, [height, width]));
            edge.to(weight, move |dy| x.grouped_conv2d_weight_gradient(dy, conv, [kh, kw]));
            if let Some(bias) = bias {
                edge.to(bias, |dy| dy.sum(&[0, 2, 3], false));
            }
        })
    }
}
