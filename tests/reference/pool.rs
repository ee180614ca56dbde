//! The maximum or the mean of each window of an image. Padding is below any number for the maximum, and 0 for the mean.

use tensor::Pool;

use crate::{Array, at, build};

/// The maximum of each window.
pub fn max_pool2d(x: &Array, pool: Pool) -> Array {
    windows(x, pool, |pixels| pixels.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The mean of each window, with pixels outside the image counting as zeros.
pub fn avg_pool2d(x: &Array, pool: Pool) -> Array {
    windows(x, pool, |pixels| pixels.iter().sum::<f64>() / (pool.kernel * pool.kernel) as f64)
}

/// The mean of each channel.
pub fn global_avg_pool2d(x: &Array) -> Array {
    let [batch, channels, height, width] = x.shape.nchw("x");
    build([batch, channels], |[n, c]| {
        let pixels = (0..height).flat_map(|i| (0..width).map(move |j| at(x, [n, c, i, j])));
        pixels.sum::<f64>() / (height * width) as f64
    })
}

/// `f` of the pixels of each window that are inside the image.
fn windows(x: &Array, Pool { kernel, stride, padding }: Pool, f: impl Fn(&[f64]) -> f64) -> Array {
    let [batch, channels, height, width] = x.shape.nchw("x");
    let size = |n: usize| (n + 2 * padding - kernel) / stride + 1;
    build([batch, channels, size(height), size(width)], |[n, c, i, j]| {
        let mut pixels = Vec::new();
        for u in 0..kernel {
            for v in 0..kernel {
                let (row, column) = (stride * i + u, stride * j + v); // position in the padded image
                if (padding..padding + height).contains(&row) && (padding..padding + width).contains(&column) {
                    pixels.push(at(x, [n, c, row - padding, column - padding]));
                }
            }
        }
        f(&pixels)
    })
}
