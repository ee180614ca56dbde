//! The random number streams of a run.
//!
//! The seed of a run gives one sub-seed per [`Purpose`]. Each purpose has one stream per epoch, step or image.
//! Therefore a draw does not depend on how many numbers were drawn before it.

use tensor::{Generator, Tensor};

/// The use of a random number stream.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The initial weights of the model.
    Weights,
    /// The assignment of images to the training, validation and test splits.
    Split,
    /// The order of the training images. There is one stream per epoch.
    Order,
    /// The latent noise in training. There is one stream per step.
    TrainNoise,
    /// The dropout masks.
    Dropout,
    /// The latent noise in validation. There is one stream per image.
    ImageNoise,
    /// The samples from the prior that are decoded into images.
    Samples,
    /// The vectors that replace unused codes of a codebook. There is one stream per step.
    Codes,
    /// The flips and crops of training images. There is one stream per pair of epoch and image.
    Augment,
    /// The noise that is added to training images. There is one stream per image.
    PixelNoise,
    /// The feature maps that are drawn. There is one stream per stage of the network.
    Maps,
    /// The draws of scores. There is one stream per score.
    Scores,
    /// Other draws of figures. There is one stream per figure.
    Figures,
    /// The fit of a prior: its initial weights, the order of latents and noise. `prior::fitting` divides the streams.
    Prior,
    /// The draws of binary pixels. There is one stream per pair of epoch and image.
    Binary,
    /// The permutations of latents among the images of a batch. There is one stream per step, or per image.
    Permutation,
}

impl Purpose {
    /// Returns the sub-seed of this purpose. For seeds below 2⁶⁰ no two pairs of purpose and seed have the same
    /// sub-seed.
    pub fn seed(self, seed: u64) -> u64 {
        seed.wrapping_mul(16).wrapping_add(self as u64)
    }

    /// Returns the generator of one stream of this purpose.
    pub fn stream(self, seed: u64, stream: u64) -> Generator {
        Generator::stream(self.seed(seed), stream)
    }
}

/// Returns standard normal noise for the images with these indices, `[images, z_dim]`. The noise of an image depends on
/// the seed and on its index only.
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
    fn noise_depends_on_the_image_and_not_on_its_position_in_the_batch() {
        let (a, b) = (image_noise(1, &[5, 9, 2], 3), image_noise(1, &[2, 5], 3));
        assert_eq!(a.data()[..3], b.data()[3..]);
        assert_eq!(a.data()[6..], b.data()[..3]);
        assert_ne!(a.data()[..3], a.data()[3..6]);
        assert_ne!(image_noise(2, &[5], 3).data(), &a.data()[..3]);
    }
}
