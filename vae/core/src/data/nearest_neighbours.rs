//! Finds the training image that is nearest to an image, by the mean squared error of pixels in [0, 1].
//!
//! ```text
//! |a − b|² = |a|² − 2·a·b + |b|²
//! ```
//!
//! All products a·b are computed as one matrix product. The error of the nearest image is then computed again from its
//! definition, so it is exact. Rounding decides between images that are equally near.

use tensor::Tensor;

use super::{Split, Transform};
use crate::error::Result;

/// The number of images of the split in one matrix product.
const BLOCK: usize = 512;

/// Returns for each image, with pixels in [0, 1], the position of the nearest image in the split and the mean squared
/// error.
///
/// # Errors
/// If an image of the split cannot be read.
pub fn nearest_neighbours(transform: &Transform, split: &Split, images: &[f32]) -> Result<Vec<(usize, f64)>> {
    let len = transform.shape().iter().product();
    let count = images.len() / len;
    let wanted = Tensor::new(images, [count, len]);
    let mut best = vec![(0, f64::INFINITY); count]; // without |a|², which is the same for all candidates
    let all: Vec<usize> = (0..split.count()).collect();
    for places in all.chunks(BLOCK) {
        let some = pixels(transform, split, places)?;
        let lengths: Vec<f64> = some.chunks_exact(len).map(squares).collect();
        let products = wanted.matmul_nt(&Tensor::new(&some, [places.len(), len]));
        for (best, products) in best.iter_mut().zip(products.data().chunks_exact(places.len())) {
            for ((&place, length), &product) in places.iter().zip(&lengths).zip(products) {
                let error = length - 2.0 * f64::from(product);
                if error < best.1 {
                    *best = (place, error);
                }
            }
        }
    }
    for (best, image) in best.iter_mut().zip(images.chunks_exact(len)) {
        let difference: Vec<f32> =
            image.iter().zip(&pixels(transform, split, &[best.0])?).map(|(a, b)| a - b).collect();
        best.1 = squares(&difference) / len as f64;
    }
    Ok(best)
}

/// Returns images of the split as pixels in [0, 1].
fn pixels(transform: &Transform, split: &Split, places: &[usize]) -> Result<Vec<f32>> {
    let mut pixels = transform.batch(split, places)?.data().to_vec();
    transform.to_unit(&mut pixels);
    Ok(pixels)
}

fn squares(pixels: &[f32]) -> f64 {
    pixels.iter().map(|&x| f64::from(x).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};
    use crate::data::{Dataset, Images};

    /// There are more images than one block, so the nearest may be in the second block.
    #[test]
    fn the_nearest_to_a_training_image_is_itself() {
        let mut all = Settings::default();
        let settings = ["data.kind=shapes", "data.images=720", "data.image_size=16"];
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        let dataset = Dataset::built_in(&all.resolve().unwrap()).unwrap();
        let (transform, train) = (&dataset.transform, &dataset.train);
        let mut three = pixels(transform, train, &[7, 0, 599]).unwrap();
        assert_eq!(nearest_neighbours(transform, train, &three).unwrap(), [(7, 0.0), (0, 0.0), (599, 0.0)]);
        // Sixteen of 256 pixels are changed by ½, too little to make another image the nearest.
        three[256..272].iter_mut().for_each(|x| *x = (*x - 0.5).abs());
        let (place, error) = nearest_neighbours(transform, train, &three).unwrap()[1];
        assert!(place == 0 && (error - 16.0 * 0.25 / 256.0).abs() < 1e-9, "{place}: {error}");
    }

    #[test]
    fn of_two_equal_images_the_first_is_the_nearest() {
        let bytes: Vec<u8> = [0, 255, 255].iter().flat_map(|&byte| [byte; 64]).collect();
        let split = Split::all(Images::new(bytes, vec![0; 3], 1, [8, 8]));
        let mut config = Config::default();
        config.data.image_size = Some(8);
        let transform = Transform::new(&config, &split).unwrap();
        assert_eq!(nearest_neighbours(&transform, &split, &[1.0; 64]).unwrap(), [(1, 0.0)]);
    }
}
