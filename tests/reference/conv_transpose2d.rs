//! Every input pixel adds its multiple of the kernel to the output, `stride` pixels apart:
//!   y[n, c, s·i + u − p, s·j + v − p] += w[o, c, u, v]·x[n, o, i, j].  Positions outside the output are cut off.

use tensor::ConvTranspose;

use crate::{Array, at, build, place};

/// Transposed convolution of [batch, in, height, width] with a weight [in, out, kh, kw].
pub fn conv_transpose2d(x: &Array, w: &Array, bias: Option<&Array>, conv: ConvTranspose) -> Array {
    let ConvTranspose { stride, padding, output_padding } = conv;
    let ([batch, cin, height, width], [_, cout, kh, kw]) = (x.shape.nchw("x"), w.shape.nchw("w"));
    let oh = (height - 1) * stride + kh + output_padding - 2 * padding;
    let ow = (width - 1) * stride + kw + output_padding - 2 * padding;
    let mut y = build([batch, cout, oh, ow], |[_, c, _, _]| bias.map_or(0.0, |b| b.data[c]));
    for n in 0..batch {
        for o in 0..cin {
            for i in 0..height {
                for j in 0..width {
                    for c in 0..cout {
                        for u in 0..kh {
                            for v in 0..kw {
                                let (row, column) = (stride * i + u, stride * j + v); // position in the output before cropping
                                let inside =
                                    (padding..padding + oh).contains(&row) && (padding..padding + ow).contains(&column);
                                if inside {
                                    let to = place(&y.shape, &[n, c, row - padding, column - padding]);
                                    y.data[to] += at(w, [o, c, u, v]) * at(x, [n, o, i, j]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    y
}
