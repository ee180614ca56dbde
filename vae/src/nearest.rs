//! The training image nearest to an image, by the mean squared error of a pixel in [0, 1].
//!
//!   |a − b|² = |a|² − 2·a·b + |b|²
//!
//! so that all products are one of matrices. What is nearest by it is measured again by its definition: the error is exact, and
//! which of two that are equally near is taken is a matter of rounding.

use pollster::block_on;
use tensor::Tensor;

use crate::error::Result;
use crate::train::Trainer;

/// Training images that are looked at together.
const BLOCK: usize = 512;

/// Of each of these images, whose pixels are in [0, 1]: the place in the training split of the nearest, and the error.
///
/// # Errors
/// If a training image cannot be read.
pub fn in_training(trainer: &Trainer, images: &[f32]) -> Result<Vec<(usize, f64)>> {
    let len = trainer.dataset.transform.shape().iter().product();
    let count = images.len() / len;
    let wanted = Tensor::new(images, [count, len]);
    let mut best = vec![(0, f64::INFINITY); count]; // the errors lack |a|², which is the same for all
    let all: Vec<usize> = (0..trainer.dataset.train.count()).collect();
    for places in all.chunks(BLOCK) {
        let some = pixels(trainer, places)?;
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
        let difference: Vec<f32> = image.iter().zip(&pixels(trainer, &[best.0])?).map(|(a, b)| a - b).collect();
        best.1 = squares(&difference) / len as f64;
    }
    Ok(best)
}

/// Training images as pixels in [0, 1].
fn pixels(trainer: &Trainer, places: &[usize]) -> Result<Vec<f32>> {
    block_on(trainer.unit(&trainer.dataset.batch(&trainer.dataset.train, places)?))
}

fn squares(pixels: &[f32]) -> f64 {
    pixels.iter().map(|&x| f64::from(x).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use tensor::Device;

    use super::*;
    use crate::config::Settings;
    use crate::data::Dataset;
    use crate::learn;

    /// More images than a block, so that the nearest may be in the second.
    #[test]
    fn the_nearest_to_a_training_image_is_itself() {
        let mut all = Settings::default();
        let settings =
            ["data.kind=shapes", "data.images=720", "model.kind=dense", "model.hidden=8", "data.image_size=16"];
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        let (dataset, model) = (Dataset::load(&config).unwrap(), learn::build(&config));
        let trainer = Trainer::of(config, dataset, model, Device::Cpu);
        let mut three = pixels(&trainer, &[7, 0, 599]).unwrap();
        assert_eq!(in_training(&trainer, &three).unwrap(), [(7, 0.0), (0, 0.0), (599, 0.0)]);
        // Sixteen of 256 pixels grey off by a half: too little to make another image the nearest.
        three[256..272].iter_mut().for_each(|x| *x = (*x - 0.5).abs());
        let (place, error) = in_training(&trainer, &three).unwrap()[1];
        assert!(place == 0 && (error - 16.0 * 0.25 / 256.0).abs() < 1e-9, "{place}: {error}");
    }
}
