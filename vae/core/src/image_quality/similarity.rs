//! The similarity of two images with pixels in [0, 1].
//!
//! ```text
//! MSE   the mean of (a − b)² over pixels
//! PSNR  10·log₁₀(1 / MSE), in decibels; infinite for equal images
//! SSIM  the mean over positions of  (2·μa·μb + C₁)·(2·σab + C₂) / ((μa² + μb² + C₁)·(σa² + σb² + C₂)),  C₁ = 0.01², C₂ = 0.03²
//! ```
//!
//! SSIM is the structural similarity of Wang, Bovik, Sheikh and Simoncelli (2004). Means, variances and covariance at a
//! position are weighted by a normalised Gaussian with σ = 1.5 over 11 × 11 pixels. Positions are those whose window is
//! inside the image. scikit-image computes the same with
//! `structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)`. For
//! colour images the result is the mean over channels.

/// The width of the window of SSIM in pixels.
pub const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C: [f64; 2] = [0.01 * 0.01, 0.03 * 0.03];

/// Returns the mean squared error of two lists of pixels.
pub fn mse(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / a.len() as f64
}

/// Returns the peak signal-to-noise ratio in decibels of a mean squared error, 10·log₁₀(1 / MSE).
pub fn psnr(mse: f64) -> f64 {
    -10.0 * mse.log10()
}

/// Returns the structural similarity of two images `[channels, height, width]`: 1 for equal images, `None` if they are
/// smaller than the window.
pub fn ssim(a: &[f32], b: &[f32], [channels, height, width]: [usize; 3]) -> Option<f64> {
    if height.min(width) < WINDOW {
        return None;
    }
    let window = window();
    let planes = a.chunks_exact(height * width).zip(b.chunks_exact(height * width));
    let of_planes = planes.map(|(a, b)| {
        let blurred = |f: &dyn Fn(f64, f64) -> f64| {
            let plane: Vec<f64> = a.iter().zip(b).map(|(&a, &b)| f(f64::from(a), f64::from(b))).collect();
            blur(&plane, width, &window)
        };
        let means = [blurred(&|a, _| a), blurred(&|_, b| b)];
        let squares = [blurred(&|a, _| a * a), blurred(&|_, b| b * b), blurred(&|a, b| a * b)];
        let at = |i: usize| {
            let [ma, mb] = [0, 1].map(|k| means[k][i]);
            let [va, vb, cov] = [squares[0][i] - ma * ma, squares[1][i] - mb * mb, squares[2][i] - ma * mb];
            (2.0 * ma * mb + C[0]) * (2.0 * cov + C[1]) / ((ma * ma + mb * mb + C[0]) * (va + vb + C[1]))
        };
        (0..means[0].len()).map(at).sum::<f64>() / means[0].len() as f64
    });
    Some(of_planes.sum::<f64>() / channels as f64)
}

/// Returns the weights of the window along one axis.
fn window() -> [f64; WINDOW] {
    let weights: [f64; WINDOW] =
        std::array::from_fn(|i| (-0.5 * ((i as f64 - (WINDOW / 2) as f64) / SIGMA).powi(2)).exp());
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// Convolves a plane with the window, along rows and then along columns, without padding.
fn blur(plane: &[f64], width: usize, window: &[f64; WINDOW]) -> Vec<f64> {
    let within = width - WINDOW + 1;
    let weighted = |at: &dyn Fn(usize) -> f64| (0..WINDOW).map(|k| window[k] * at(k)).sum::<f64>();
    let rows = plane.chunks_exact(width);
    let across: Vec<f64> = rows.flat_map(|row| (0..within).map(move |x| weighted(&|k| row[x + k]))).collect();
    let places = 0..across.len() - (WINDOW - 1) * within;
    places.map(|place| weighted(&|k| across[place + k * within])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns reproducible irregular numbers in [0, 1).
    fn picture(multiplier: usize, [channels, height, width]: [usize; 3]) -> Vec<f32> {
        (0..channels * height * width).map(|i| (i * i * multiplier % 251) as f32 / 256.0).collect()
    }

    #[test]
    fn equal_images_have_ssim_1_and_a_shift_has_a_known_mse() {
        let shape = [3, 13, 17];
        let a = picture(1, shape);
        assert_eq!((mse(&a, &a), psnr(mse(&a, &a))), (0.0, f64::INFINITY));
        assert!((ssim(&a, &a, shape).unwrap() - 1.0).abs() < 1e-12);
        let moved: Vec<f32> = a.iter().map(|x| x + 0.125).collect();
        assert_eq!((mse(&a, &moved), (1e3 * psnr(mse(&a, &moved))).round()), (0.015625, 18_062.0));
        assert_eq!((ssim(&a, &a, [3, 221, 1]), ssim(&a[..110], &a[..110], [1, 10, 11])), (None, None));
        assert!(ssim(&a[..121], &a[..121], [1, 11, 11]).is_some(), "an image as small as the window");
    }

    /// The expected numbers are from scikit-image 0.26 with `channel_axis=0`.
    #[test]
    fn a_pair_has_the_values_of_scikit_image() {
        let shape = [3, 13, 17];
        let a = picture(1, shape);
        let b: Vec<f32> = a.iter().zip(picture(7, shape)).map(|(a, c)| 0.75 * a + 0.25 * c).collect();
        assert!((ssim(&a, &b, shape).unwrap() - 0.929_987_897_354_889_3).abs() < 1e-12);
        assert!((psnr(mse(&a, &b)) - 20.729_533_171_541_227).abs() < 1e-12);
    }
}
