//! The number of images that follows from a configuration without reading files: the splits of each data set, and the
//! combinations of factors of `shapes`.

use super::{Config, DataKind, LossKind, Ratio};

/// The width in pixels of the border that `flip-crop` adds, which is also the largest shift of an image in each
/// direction.
pub const PADDING: usize = 4;

/// The default of `data.images`.
pub const SHAPES_IMAGES: usize = 12_000;
/// The largest number of images of `shapes`. Each needs 20 bytes of memory.
pub const SHAPES_MAX: usize = 10_000_000;
/// The default of `data.rotations`, as in dSprites.
pub const SHAPES_ROTATIONS: usize = 40;

/// The values of the factors of `shapes`. The number of rotations is configurable.
pub(crate) const SHAPES: [&str; 3] = ["square", "ellipse", "heart"];
const SCALES: usize = 6;
pub(crate) const PLACES: usize = 32;
pub(crate) const HUES: usize = 10;

/// Returns the sizes of the training, validation and test splits in the ratio 10 : 1 : 1. The remainder goes to
/// training.
pub fn split_sizes(count: usize) -> [usize; 3] {
    sizes_in_ratio(count, Ratio::DEFAULT)
}

/// Returns the sizes of the training, validation and test splits in a ratio. The remainder goes to training.
pub fn sizes_in_ratio(count: usize, ratio: Ratio) -> [usize; 3] {
    let all: u128 = ratio.0.iter().map(|&share| u128::from(share)).sum();
    let size = |share: u32| (count as u128 * u128::from(share) / all) as usize;
    let [_, validation, test] = ratio.0.map(size);
    [count - validation - test, validation, test]
}

impl Config {
    /// Returns the number of training images in an epoch, or `None` if only the files determine it.
    pub fn train_images(&self) -> Option<usize> {
        let [all, ..] = self.split()?;
        Some(if self.data.limit == 0 { all } else { all.min(self.data.limit) })
    }

    /// Returns the numbers of training, validation and test images, or `None` if only the files determine them.
    pub fn split(&self) -> Option<[usize; 3]> {
        Some(match self.data.kind {
            DataKind::Digits => [8_334, 833, 833],
            DataKind::Mnist | DataKind::FashionMnist | DataKind::BinarizedMnist => [50_000, 10_000, 10_000],
            DataKind::Cifar10 => [50_000, 5_000, 5_000],
            DataKind::Stl10 => [105_000, 4_000, 4_000],
            DataKind::Dsprites => [614_400, 61_440, 61_440],
            DataKind::Shapes => split_sizes(self.shapes_images()),
            DataKind::StanfordDogs | DataKind::Celeba | DataKind::Chairs | DataKind::Folder => return None,
        })
    }

    /// Returns the number of values of each factor of `shapes`: shape, scale, rotation, x, y, and the hue of colour
    /// images.
    pub fn shapes_factors(&self) -> Vec<usize> {
        let mut sizes = vec![SHAPES.len(), SCALES, self.data.rotations, PLACES, PLACES];
        if self.channels() == 3 {
            sizes.push(HUES);
        }
        sizes
    }

    /// Returns the number of images of `shapes`: `data.images`, or all combinations of the factors.
    pub fn shapes_images(&self) -> usize {
        let combinations = self.shapes_factors().into_iter().fold(1, usize::saturating_mul);
        if self.data.images == 0 { combinations } else { self.data.images.min(combinations) }
    }

    /// Returns the number of latents that are drawn for an image in a step.
    pub fn draws(&self) -> usize {
        if self.loss.kind == LossKind::Iwae { self.loss.samples * self.loss.bounds } else { 1 }
    }

    /// Returns the number of rows, and of columns, of the codes of a `vq` model.
    pub fn code_side(&self) -> usize {
        self.image_size() / self.model.divisor()
    }

    /// Returns the number of values in a model input: channels × rows × columns.
    pub fn pixels(&self) -> usize {
        self.channels() * self.image_size() * self.image_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_splits_have_the_ratio_10_to_1_to_1() {
        assert_eq!(Some(split_sizes(10_000)), Config::default().split());
        assert_eq!(split_sizes(24), [20, 2, 2]);
        assert_eq!(split_sizes(11), [11, 0, 0]);
        assert_eq!(sizes_in_ratio(25, Ratio([8, 1, 1])), [21, 2, 2]);
        assert_eq!(sizes_in_ratio(25, Ratio([1, 1, 2])), [7, 6, 12]);
        assert_eq!(sizes_in_ratio(usize::MAX, Ratio([1, u32::MAX, 1])).iter().sum::<usize>(), usize::MAX);
    }
}
