//! The sharpness of an image: the variance of its Laplacian (Pech-Pacheco et al. 2000).
//!
//! ```text
//!           0  1  0
//! L = luma * 1 −4  1       the population variance of L over all pixels
//!           0  1  0
//! ```
//!
//! The luma of a colour image is 0.299 R + 0.587 G + 0.114 B on the scale 0 to 255, not rounded. Beyond its border an
//! image is mirrored about its outermost pixels (OpenCV's `BORDER_REFLECT_101`).

use crate::luma::LUMA;

/// Returns the Laplacian variance of an image `[channels, height, width]` with pixels in [0, 1]. The result is on the
/// scale of luma from 0 to 255.
pub fn laplacian_variance(pixels: &[f32], [channels, height, width]: [usize; 3]) -> f64 {
    let area = height * width;
    let weights: &[f64] = if channels == 3 { &LUMA } else { &[1.0] };
    let luma =
        |i: usize| weights.iter().zip(pixels[i..].iter().step_by(area)).map(|(w, &x)| w * 255.0 * f64::from(x)).sum();
    laplacian_variance_of_luma(&(0..area).map(luma).collect::<Vec<f64>>(), [height, width])
}

/// Returns the Laplacian variance of a plane of luma `[height, width]`, 0 to 255.
pub fn laplacian_variance_of_luma(luma: &[f64], [height, width]: [usize; 2]) -> f64 {
    // The two neighbours of a position along an axis. An axis of one pixel has only that pixel.
    let beside = |i: usize, size: usize| match i {
        _ if size == 1 => [0, 0],
        0 => [1, 1],
        i if i == size - 1 => [i - 1, i - 1],
        i => [i - 1, i + 1],
    };
    let at = |y: usize, x: usize| luma[y * width + x];
    let laplacian = |i: usize| {
        let (y, x) = (i / width, i % width);
        let ([up, down], [left, right]) = (beside(y, height), beside(x, width));
        at(up, x) + at(down, x) + at(y, left) + at(y, right) - 4.0 * at(y, x)
    };
    let laplacians: Vec<f64> = (0..luma.len()).map(laplacian).collect();
    let mean = laplacians.iter().sum::<f64>() / luma.len() as f64;
    laplacians.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / luma.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_32(f: impl Fn(usize, usize) -> bool) -> f64 {
        let pixels: Vec<f32> = (0..1024).map(|i| if f(i / 32, i % 32) { 1.0 } else { 0.0 }).collect();
        laplacian_variance(&pixels, [1, 32, 32])
    }

    #[test]
    fn known_variances() {
        assert_eq!(of_32(|_, _| true), 0.0);
        assert_eq!(of_32(|y, x| (y + x) % 2 == 1), 1_040_400.0);
        assert_eq!(of_32(|_, x| x >= 16), 4064.0625);
        assert_eq!(laplacian_variance(&[0.5], [1, 1, 1]), 0.0);
        // L is 0, 255, −510, whose mean is −85.
        assert_eq!(
            laplacian_variance_of_luma(&[0.0, 0.0, 255.0], [1, 3]),
            (85.0_f64.powi(2) + 340.0 * 340.0 + 425.0 * 425.0) / 3.0
        );
    }

    #[test]
    fn colour_is_weighted_by_luma() {
        let board: Vec<f32> = (0..256).map(|i| ((i / 16 + i) % 2) as f32).collect();
        let grey = laplacian_variance(&board, [1, 16, 16]);
        for (channel, weight) in [0.299, 0.587, 0.114].iter().enumerate() {
            let mut pixels = vec![0.25; 768];
            pixels[channel * 256..][..256].copy_from_slice(&board);
            let ratio = laplacian_variance(&pixels, [3, 16, 16]) / grey;
            assert!((ratio - weight * weight).abs() < 1e-9, "{channel}: {ratio}");
        }
    }
}
