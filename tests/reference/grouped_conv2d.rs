//! `y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v]·x[n, g·C + c, s·i + d·u − p, s·j + d·v − p]` for the C channels of the group g
//! of o, where x is 0 outside the image.

use tensor::GroupedConv;

use crate::{Array, at, build};

/// Convolution of [batch, in, height, width] with a weight [out, in / groups, kh, kw].
pub fn grouped_conv2d(x: &Array, w: &Array, bias: Option<&Array>, conv: GroupedConv) -> Array {
    let GroupedConv { stride, padding, dilation, groups } = conv;
    let ([batch, _, height, width], [cout, per_group, kh, kw]) = (x.shape.nchw("x"), w.shape.nchw("w"));
    let along = |size: usize, kernel: usize| (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
    build([batch, cout, along(height, kh), along(width, kw)], |[n, o, i, j]| {
        let mut sum = bias.map_or(0.0, |b| b.data[o]);
        for c in 0..per_group {
            for u in 0..kh {
                for v in 0..kw {
                    let (row, column) = (stride * i + dilation * u, stride * j + dilation * v); // in the padded image
                    if (padding..padding + height).contains(&row) && (padding..padding + width).contains(&column) {
                        let channel = o / (cout / groups) * per_group + c;
                        sum += at(w, [o, c, u, v]) * at(x, [n, channel, row - padding, column - padding]);
                    }
                }
            }
        }
        sum
    })
}
