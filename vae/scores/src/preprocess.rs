//! The preprocessing of images for the network of an extractor:
//!
//! ```text
//! pixels in [0, 1] → the network's channels: grey is repeated, colour becomes luma, 0.299 R + 0.587 G + 0.114 B
//!                  → the network's size: 28 becomes at most 32 by a black border, otherwise bilinear as in `data::Transform`
//!                  → the network's range: (x − mean)/std for each channel
//! ```

use tensor::{Interpolation, Tensor};
use vae_core::Result;
use vae_core::config::{Config, Normalise};
use vae_core::luma::LUMA;

/// The preprocessing of images for a network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Preprocess {
    pub(super) channels: usize,
    /// The side of the images, or `None` if the network accepts any size.
    pub(super) size: Option<usize>,
    pub(super) mean: Vec<f64>,
    pub(super) std: Vec<f64>,
}

impl Preprocess {
    /// Returns the preprocessing of a classifier with this configuration. With `data.normalise = "standard"`, the mean
    /// and standard deviation are computed from its training images, which are read from `data_dir`.
    pub(super) fn of(config: &Config, data_dir: &str) -> Result<Preprocess> {
        let channels = config.channels();
        let (mean, std) = match config.data.normalise {
            Normalise::Unit => (vec![0.0; channels], vec![1.0; channels]),
            Normalise::Symmetric => (vec![0.5; channels], vec![0.5; channels]),
            Normalise::Standard => {
                let mut config = config.clone();
                config.data.dir = data_dir.to_owned();
                let transform = vae_data::load(&config)?.transform;
                (transform.mean, transform.std)
            }
        };
        Ok(Preprocess::with_moments(config, mean, std))
    }

    /// Returns the preprocessing of a classifier whose images had these means and standard deviations.
    pub(super) fn with_moments(config: &Config, mean: Vec<f64>, std: Vec<f64>) -> Preprocess {
        Preprocess { channels: config.channels(), size: Some(config.image_size()), mean, std }
    }

    /// Preprocesses images with this shape (channels, height, width) and pixels in [0, 1]. Returns
    /// `[images, channels, size, size]`.
    pub(super) fn apply(&self, pixels: &[f32], [channels, height, width]: [usize; 3]) -> Tensor {
        let images = pixels.len() / (channels * height * width);
        let x = Tensor::new(pixels, [images, channels, height, width]);
        let x = match [channels, self.channels] {
            [3, 1] => x.mul(&Tensor::new(&LUMA.map(|weight| weight as f32), [1, 3, 1, 1])).sum(&[1], true),
            _ => x, // the means below repeat a grey image in every channel
        };
        let x = match self.size {
            Some(size @ 28..=32) if [height, width] == [28; 2] => pad_to(&x, size),
            Some(size) => x.interpolate([size; 2], Interpolation::Bilinear { align_corners: false }),
            None => x,
        };
        let each = |numbers: &[f64]| {
            let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
            Tensor::new(&numbers, [1, self.channels, 1, 1])
        };
        x.sub(&each(&self.mean)).div(&each(&self.std))
    }
}

/// Pads square images with a black border to this side.
fn pad_to(x: &Tensor, size: usize) -> Tensor {
    let [images, channels, side, _] = x.shape().nchw("images");
    let border = (size - side) / 2;
    let mut out = Tensor::zeros([images, channels, size, size]);
    for (plane, out) in x.data().chunks_exact(side * side).zip(out.data_mut().chunks_exact_mut(size * size)) {
        for (row, line) in plane.chunks_exact(side).enumerate() {
            out[(row + border) * size + border..][..side].copy_from_slice(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preprocessing_gives_channels_size_and_range() {
        let preprocess =
            |channels, size| Preprocess { channels, size, mean: vec![0.5; channels], std: vec![0.25; channels] };
        let grey = preprocess(1, Some(32)).apply(&[1.0; 784], [1, 28, 28]);
        assert_eq!((**grey.shape() == [1, 1, 32, 32], grey.data()[65], grey.data()[66]), (true, -2.0, 2.0));
        let colour = preprocess(3, Some(16)).apply(&[0.75; 64], [1, 8, 8]);
        assert_eq!((&colour.shape()[..], colour.data()), (&[1, 3, 16, 16][..], &[1.0; 768][..]));
        let grey = preprocess(1, Some(32)).apply(&[0.75; 64], [1, 8, 8]);
        assert_eq!(
            (&grey.shape()[..], grey.data()),
            (&[1, 1, 32, 32][..], &[1.0; 1024][..]),
            "only digits get a border"
        );
        let same = preprocess(3, None).apply(&[0.0, 0.5, 1.0], [3, 1, 1]);
        assert_eq!(same.data(), [-2.0, 0.0, 2.0]);
        let red = [[1.0; 4], [0.0; 4], [0.0; 4]].concat();
        let luma = preprocess(1, None).apply(&red, [3, 2, 2]);
        assert!(luma.data().iter().all(|x| (x - 4.0 * (0.299 - 0.5)).abs() < 1e-6), "{:?}", luma.data());
    }
}
