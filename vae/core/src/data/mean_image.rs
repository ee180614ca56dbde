//! The error of a model that ignores its input and always answers with the mean training image. A model that reconstructs no
//! better has learnt nothing about single images. With this error E, the coefficient of determination of a model is
//! R² = 1 − MSE/E: 1 for perfect reconstructions, 0 for the mean image.

use super::{Split, Transform};
use crate::error::Result;

/// The largest number of training images in the mean, evenly spaced in the split. The mean of n images adds only the relative
/// error 1/n.
const LARGEST: usize = 4_096;
/// The number of images that are read at once.
const BLOCK: usize = 256;

/// Returns the mean squared error, per pixel in [0, 1], between the mean of the images of `train` and the images at the positions
/// `places` of `split`. It is NaN if one of the two has no images.
///
/// # Errors
/// If an image cannot be read.
pub fn mean_image_mse(transform: &Transform, train: &Split, split: &Split, places: &[usize]) -> Result<f64> {
    let len = transform.shape().iter().product();
    let step = train.count().div_ceil(LARGEST).max(1);
    let used: Vec<usize> = (0..train.count()).step_by(step).collect();
    let mut mean = vec![0.0_f64; len];
    each(transform, train, &used, len, |image| mean.iter_mut().zip(image).for_each(|(sum, &x)| *sum += f64::from(x)))?;
    mean.iter_mut().for_each(|sum| *sum /= used.len() as f64);
    let mut squares = 0.0;
    each(transform, split, places, len, |image| {
        squares += mean.iter().zip(image).map(|(mean, &x)| (mean - f64::from(x)).powi(2)).sum::<f64>();
    })?;
    Ok(squares / (places.len() * len) as f64)
}

/// Calls `take` with the pixels in [0, 1] of each image.
fn each(
    transform: &Transform,
    split: &Split,
    places: &[usize],
    len: usize,
    mut take: impl FnMut(&[f32]),
) -> Result<()> {
    for places in places.chunks(BLOCK) {
        let mut pixels = transform.batch(split, places)?.data().to_vec();
        transform.to_unit(&mut pixels);
        pixels.chunks_exact(len).for_each(&mut take);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Normalise};
    use crate::data::Images;

    /// One white image of four gives a mean of ¼; the errors are ¾ of a white and ¼ of a black image.
    #[test]
    fn the_error_is_that_of_the_mean_training_image() {
        let split = |bytes: &[u8]| {
            let pixels: Vec<u8> = bytes.iter().flat_map(|&byte| [byte; 64]).collect();
            Split::all(Images::new(pixels, vec![0; bytes.len()], 1, [8, 8]))
        };
        let (train, test) = (split(&[0, 255, 0, 0]), split(&[255, 0, 0]));
        for normalise in [Normalise::Unit, Normalise::Symmetric, Normalise::Standard] {
            let mut config = Config::default();
            (config.data.channels, config.data.image_size, config.data.normalise) = (Some(1), Some(8), normalise);
            let transform = Transform::new(&config, &train).unwrap();
            let of = |places: &[usize]| mean_image_mse(&transform, &train, &test, places).unwrap();
            assert!((of(&[0]) - 0.5625).abs() < 1e-6 && (of(&[1, 2]) - 0.0625).abs() < 1e-6, "{normalise}");
            assert!((of(&[0, 1]) - 0.3125).abs() < 1e-6 && of(&[]).is_nan());
        }
        // Of more than LARGEST images every second one is used, from the first to the last: of these, half are white.
        let many: Vec<u8> = (0..2 * LARGEST).map(|i| if i % 2 == 0 && i >= LARGEST { 255 } else { 0 }).collect();
        let mut config = Config::default();
        (config.data.channels, config.data.image_size) = (Some(1), Some(8));
        let transform = Transform::new(&config, &train).unwrap();
        let error = mean_image_mse(&transform, &split(&many), &split(&[255]), &[0]).unwrap();
        assert!((error - 0.25).abs() < 1e-6, "{error}");
    }
}
