//! `y[n, o, i, j] = bias[o] + Σ_{c,u,v} w[o, c, u, v]·x[n, c, s·i + u − p, s·j + v − p]`, where x is 0 outside the image.

use tensor::Conv;

use crate::{Array, at, build};

/// Convolution of [batch, in, height, width] with a weight [out, in, kh, kw].
pub fn conv2d(x: &Array, w: &Array, bias: Option<&Array>, Conv { stride, padding }: Conv) -> Array {
    let ([batch, cin, height, width], [cout, _, kh, kw]) = (x.shape.nchw("x"), w.shape.nchw("w"));
    let (oh, ow) = ((height + 2 * padding - kh) / stride + 1, (width + 2 * padding - kw) / stride + 1);
    build([batch, cout, oh, ow], |[n, o, i, j]| {
        let mut sum = bias.map_or(0.0, |b| b.data[o]);
        for c in 0..cin {
            for u in 0..kh {
                for v in 0..kw {
                    let (row, column) = (stride * i + u, stride * j + v); // position in the padded image
                    let inside =
                        (padding..padding + height).contains(&row) && (padding..padding + width).contains(&column);
                    if inside {
                        sum += at(w, [o, c, u, v]) * at(x, [n, c, row - padding, column - padding]);
                    }
                }
            }
        }
        sum
    })
}

/// The gradient of the weight: `dw[o, c, u, v] = Σ_{n,i,j} dy[n, o, i, j]·x[n, c, s·i + u − p, s·j + v − p]`.
pub fn weight_gradient(x: &Array, dy: &Array, [kh, kw]: [usize; 2], Conv { stride, padding }: Conv) -> Array {
    let ([batch, cin, height, width], [_, cout, oh, ow]) = (x.shape.nchw("x"), dy.shape.nchw("dy"));
    build([cout, cin, kh, kw], |[o, c, u, v]| {
        let mut sum = 0.0;
        for n in 0..batch {
            for i in 0..oh {
                for j in 0..ow {
                    let (row, column) = (stride * i + u, stride * j + v); // position in the padded image
                    if (padding..padding + height).contains(&row) && (padding..padding + width).contains(&column) {
                        sum += at(dy, [n, o, i, j]) * at(x, [n, c, row - padding, column - padding]);
                    }
                }
            }
        }
        sum
    })
}
