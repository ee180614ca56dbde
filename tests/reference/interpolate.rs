//! Image resizing. Each pixel of the result has a position in the image and is computed from the nearest pixel or from the four
//! around it.

use tensor::Interpolation;

use crate::{Array, at, build};

/// Images [batch, channels, height, width] resized to `size`.
pub fn interpolate(x: &Array, size: [usize; 2], how: Interpolation) -> Array {
    let [batch, channels, height, width] = x.shape.nchw("x");
    build([batch, channels, size[0], size[1]], |[n, c, i, j]| {
        let mut sum = 0.0;
        for (row, row_share) in between(how, i, height, size[0]) {
            for (column, column_share) in between(how, j, width, size[1]) {
                sum += row_share * column_share * at(x, [n, c, row, column]);
            }
        }
        sum
    })
}

/// The pixels of `from` that pixel `i` of `to` depends on, with their weights.
fn between(how: Interpolation, i: usize, from: usize, to: usize) -> [(usize, f64); 2] {
    let ratio = from as f64 / to as f64;
    let at = match how {
        Interpolation::Nearest => return [((i * from / to).min(from - 1), 1.0), (0, 0.0)],
        // Pixels are squares. The outer edges of both images are aligned, and beyond the outermost centres the value is
        // constant.
        Interpolation::Bilinear { align_corners: false } => {
            ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, from as f64 - 1.0)
        }
        // Pixels are points. The outermost points of both images are aligned.
        Interpolation::Bilinear { align_corners: true } if to == 1 => 0.0,
        Interpolation::Bilinear { align_corners: true } => i as f64 * (from as f64 - 1.0) / (to as f64 - 1.0),
    };
    let first = at.floor() as usize;
    let share = at - first as f64;
    [(first, 1.0 - share), ((first + 1).min(from - 1), share)]
}
