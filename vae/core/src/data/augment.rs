//! Random changes to training images. Validation and test images are not changed.
//!
//! - `flip` mirrors an image horizontally with probability ½.
//! - `flip-crop` also adds a black border of four pixels and crops a random window of the original size (He et al.
//!   2015, section 4.2). These draws depend on (seed, epoch, image).
//! - `data.binarise` makes pixels 0 or 1 after that: see `binary`.
//! - Noise adds σ·N(0, 1) to every pixel of a fraction of the images, in units where black is 0 and full brightness is
//!   one. The sum is clamped to [0, 1]. These draws depend on (seed, image): an image has the same noise in every epoch,
//!   as if it were stored with it.

use tensor::Tensor;

use crate::config::{Augment, Binarise, Config, NoiseTarget, PADDING};
use crate::data::{Transform, binary};
use crate::random::Purpose;

/// The augmentation and the noise of training images.
#[derive(Clone, Debug)]
pub struct Augmentation {
    seed: u64,
    augment: Augment,
    noise_std: f64,
    noise_fraction: f64,
    noise_target: NoiseTarget,
    binarise: Binarise,
}

impl Augmentation {
    /// Creates the augmentation of a configuration.
    pub fn new(config: &Config) -> Augmentation {
        let data = &config.data;
        Augmentation {
            seed: config.seed,
            augment: data.augment,
            noise_std: data.noise_std,
            noise_fraction: data.noise_fraction,
            noise_target: data.noise_target,
            binarise: data.binarise,
        }
    }

    /// Applies `flip` or `flip-crop` to an image, `[channels, size, size]`, in place.
    pub fn flip_and_crop(&self, transform: &Transform, epoch: usize, image: usize, pixels: &mut [f32]) {
        if self.augment == Augment::None {
            return;
        }
        let mut draw = Purpose::Augment.stream(self.seed, (epoch as u64) << 32 | image as u64);
        let [_, size, _] = transform.shape();
        if draw.below(2) == 1 {
            pixels.chunks_exact_mut(size).for_each(<[f32]>::reverse);
        }
        if self.augment == Augment::FlipCrop {
            let [down, right] = [0, 1].map(|_| draw.below(2 * PADDING + 1));
            for (channel, plane) in pixels.chunks_exact_mut(size * size).enumerate() {
                crop(plane, size, [down, right], transform.range(channel)[0]);
            }
        }
    }

    /// Makes the pixels of an image 0 or 1 if `data.binarise` says so, in place.
    pub fn make_binary(&self, epoch: usize, image: usize, pixels: &mut [f32]) {
        match self.binarise {
            Binarise::None => {}
            Binarise::Dynamic => binary::dynamic(self.seed, epoch, image, pixels),
            Binarise::Fixed => binary::fixed(image, pixels),
        }
    }

    /// Returns whether noise is added to this image.
    pub fn is_noisy(&self, image: usize) -> bool {
        self.noise_std > 0.0 && self.noise(image).1
    }

    /// Returns the generator of an image's noise, and whether the image is noisy, which its first draw decides.
    fn noise(&self, image: usize) -> (tensor::Generator, bool) {
        let mut draw = Purpose::PixelNoise.stream(self.seed, image as u64);
        let noisy = f64::from(draw.uniform()) < self.noise_fraction;
        (draw, noisy)
    }

    /// Adds its noise to an image, if it is noisy, in place.
    pub fn add_noise(&self, transform: &Transform, image: usize, pixels: &mut [f32]) {
        if !self.is_noisy(image) {
            return;
        }
        let [_, size, _] = transform.shape();
        let noise = self.noise(image).0.normal_tensor([pixels.len()]);
        let planes = pixels.chunks_exact_mut(size * size).zip(noise.data().chunks_exact(size * size));
        for (channel, (plane, noise)) in planes.enumerate() {
            let [black, full] = transform.range(channel);
            let sigma = (self.noise_std * f64::from(full - black)) as f32;
            plane.iter_mut().zip(noise).for_each(|(x, n)| *x = (*x + sigma * n).clamp(black, full));
        }
    }

    /// Returns a copy of the images if they are the reconstruction target, as `data.noise_target = "clean"` requires.
    /// Call it before the noise is added.
    pub fn clean(&self, images: &Tensor) -> Option<Tensor> {
        (self.noise_std > 0.0 && self.noise_target == NoiseTarget::Clean).then(|| images.clone())
    }
}

/// Crops a plane with a black border of width [`PADDING`] to its original size, in place. The window starts at row
/// `down` and column `right` of the bordered plane.
fn crop(plane: &mut [f32], size: usize, [down, right]: [usize; 2], black: f32) {
    let before = plane.to_vec();
    plane.fill(black);
    let (top, left) = (down.saturating_sub(PADDING), right.saturating_sub(PADDING)); // first visible row and column
    let (y, x) = (PADDING.saturating_sub(down), PADDING.saturating_sub(right)); // their position in the result
    let [height, width] = [size - top - y, size - left - x];
    for row in 0..height {
        plane[(y + row) * size + x..][..width].copy_from_slice(&before[(top + row) * size + left..][..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;

    fn dataset(settings: &[&str]) -> Dataset {
        let mut all = crate::config::Settings::default();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        Dataset::built_in(&config).unwrap()
    }

    fn batch(dataset: &Dataset, epoch: usize, places: &[usize]) -> Tensor {
        dataset.training_batch(epoch, places).unwrap().input
    }

    #[test]
    fn a_crop_is_a_window_of_a_bordered_copy() {
        let size = 9;
        let plane: Vec<f32> = (1..=81).map(|x| x as f32).collect();
        for down in 0..=2 * PADDING {
            for right in [0, 3, 4, 7, 8] {
                let mut out = plane.clone();
                crop(&mut out, size, [down, right], -1.0);
                for (i, &x) in out.iter().enumerate() {
                    let (row, column) = (i / size + down, i % size + right); // in the bordered plane
                    let inside = |at: usize| (PADDING..PADDING + size).contains(&at);
                    let shows = inside(row) && inside(column);
                    let wanted = if shows { plane[(row - PADDING) * size + column - PADDING] } else { -1.0 };
                    assert_eq!(x, wanted, "{down} {right} {i}");
                }
            }
        }
    }

    #[test]
    fn half_are_mirrored_and_each_epoch_has_its_own_draws() {
        let [plain, flipped] = ["none", "flip"].map(|way| dataset(&[&format!("data.augment={way}")]));
        let places: Vec<usize> = (0..400).collect();
        let (before, after) = (batch(&plain, 1, &places), batch(&flipped, 1, &places));
        let mirrored =
            |image: &[f32]| image.chunks_exact(32).flat_map(|row| row.iter().rev().copied()).collect::<Vec<_>>();
        let pairs = before.data().chunks_exact(1024).zip(after.data().chunks_exact(1024));
        let count = pairs.filter(|(a, b)| a != b && *b == mirrored(a)).count();
        assert!((160..240).contains(&count), "{count} of 400");
        let same =
            before.data().chunks_exact(1024).zip(after.data().chunks_exact(1024)).filter(|(a, b)| a == b).count();
        assert_eq!(same + count, 400);
        assert_eq!(batch(&flipped, 1, &places).data(), after.data());
        assert_ne!(batch(&flipped, 2, &places).data(), after.data());
        assert_eq!(batch(&flipped, 1, &places[7..9]).data(), &after.data()[7 * 1024..9 * 1024], "whatever the batch");
        assert_eq!(
            plain.batch(&plain.validation, &[0]).unwrap().data(),
            flipped.batch(&flipped.validation, &[0]).unwrap().data()
        );
    }

    #[test]
    fn crops_shift_by_at_most_four_pixels_and_cut_off_no_digit() {
        // A digit is within 20×20 of its 28×28 pixels (LeCun et al.), and 32×32 with the border: a shift by 4 cuts
        // nothing off.
        let moved = dataset(&["data.augment=flip-crop"]);
        let plain = moved.batch(&moved.train, &[5]).unwrap();
        let sum = |x: &Tensor| x.data().iter().map(|&x| f64::from(x)).sum::<f64>();
        let mut seen = std::collections::HashSet::new();
        for epoch in 1..=500 {
            let image = batch(&moved, epoch, &[5]);
            assert!((sum(&image) - sum(&plain)).abs() < 1e-3);
            seen.insert(image.data().iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        }
        assert!((150..=162).contains(&seen.len()), "{} of 2·9·9 ways", seen.len());
    }

    #[test]
    fn noise_has_the_configured_fraction_and_standard_deviation() {
        let config =
            ["data.noise_std=0.05", "data.noise_fraction=0.25", "data.kind=shapes", "data.normalise=symmetric"];
        let noisy = dataset(&[&config[..], &["data.images=1200", "data.noise_target=clean"]].concat());
        let places: Vec<usize> = (0..1000).collect();
        let pair = noisy.training_batch(3, &places).unwrap();
        let clean = pair.clean.expect("asked for");
        assert_eq!(clean.data(), noisy.batch(&noisy.train, &places).unwrap().data());
        let len = clean.count() / places.len();
        let (mut touched, mut squares, mut n) = (0, 0.0, 0);
        for (place, (a, b)) in pair.input.data().chunks_exact(len).zip(clean.data().chunks_exact(len)).enumerate() {
            touched += usize::from(a != b);
            assert_eq!(
                a != b,
                noisy.augmentation.is_noisy(noisy.train.indices()[place]),
                "the image decides, not its place"
            );
            assert!(a.iter().all(|x| (-1.0..=1.0).contains(x)));
            // Only pixels that were not clamped: those well inside the range.
            for (a, b) in a.iter().zip(b).filter(|(_, b)| b.abs() < 0.5) {
                squares += if a == b { 0.0 } else { f64::from(a - b).powi(2) };
                n += usize::from(a != b);
            }
        }
        assert!((200..300).contains(&touched), "{touched} of 1000");
        let std = (squares / n as f64).sqrt();
        assert!((std - 0.1).abs() < 0.01, "{std} of symmetric pixels, whose range is 2, from {n}");
        assert_eq!(
            noisy.training_batch(4, &places).unwrap().input.data(),
            pair.input.data(),
            "in every epoch the same"
        );
    }

    #[test]
    fn without_augmentation_a_training_batch_equals_the_images() {
        let plain = dataset(&[]);
        let pair = plain.training_batch(1, &[4, 2]).unwrap();
        assert_eq!(pair.input.data(), plain.batch(&plain.train, &[4, 2]).unwrap().data());
        assert!(pair.clean.is_none());
        let mut config = crate::config::Config::default();
        config.data.noise_target = NoiseTarget::Clean;
        let augmentation = Augmentation::new(&config);
        assert!(
            !augmentation.is_noisy(4) && augmentation.clean(&pair.input).is_none(),
            "no noise, so nothing is noisy"
        );
        let noisy = dataset(&["data.noise_std=0.1"]).training_batch(1, &[4, 2]).unwrap();
        assert!(noisy.clean.is_none(), "the noisy image is what is given back");
    }
}
