//! Which random numbers serve which purpose. One seed makes a run; each purpose has a sub-seed of its own, and within
//! it a stream for each epoch, step or image, so that no draw depends on how many came before it.

use tensor::{Generator, Tensor};

/// What random numbers are drawn for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The model's first weights.
    Weights,
    /// Which images train and which validate.
    Split,
    /// The order of the images; the stream is the epoch.
    Order,
    /// The latent noise of training; the stream is the step.
    TrainNoise,
    /// The masks of dropout.
    Dropout,
    /// The latent noise of validation; the stream is the image.
    ImageNoise,
    /// The draws from the prior that are decoded into pictures.
    Samples,
    /// The places of a batch at which unused codes begin again; the stream is the step.
    Codes,
    /// How training images are mirrored and moved; the stream is the epoch and the image.
    Augment,
    /// The noise on training images; the stream is the image.
    PixelNoise,
    /// Which maps of a network are drawn; the stream is the stage.
    Maps,
    /// Whatever a score draws; the stream is one a score.
    Scores,
    /// Whatever else a figure draws; the stream is one a figure.
    Figures,
}

impl Purpose {
    /// The sub-seed of this purpose: no two purposes of any two seeds below 2⁶⁰ share one.
    pub fn seed(self, seed: u64) -> u64 {
        seed.wrapping_mul(16).wrapping_add(self as u64)
    }

    /// One stream of numbers for this purpose.
    pub fn stream(self, seed: u64, stream: u64) -> Generator {
        Generator::stream(self.seed(seed), stream)
    }
}

/// The latent noise of these images, `[images, z_dim]`: that of an image is always the same.
pub fn image_noise(seed: u64, images: &[usize], z_dim: usize) -> Tensor {
    let mut noise = Vec::with_capacity(images.len() * z_dim);
    for &image in images {
        noise.extend_from_slice(Purpose::ImageNoise.stream(seed, image as u64).normal_tensor([z_dim]).data());
    }
    Tensor::new(&noise, [images.len(), z_dim])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_belongs_to_the_image_not_to_its_place() {
        let (a, b) = (image_noise(1, &[5, 9, 2], 3), image_noise(1, &[2, 5], 3));
        assert_eq!(a.data()[..3], b.data()[3..]);
        assert_eq!(a.data()[6..], b.data()[..3]);
        assert_ne!(a.data()[..3], a.data()[3..6]);
        assert_ne!(image_noise(2, &[5], 3).data(), &a.data()[..3]);
    }
}
