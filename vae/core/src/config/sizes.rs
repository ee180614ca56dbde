//! How many images a configuration means, as far as it says so without reading a file: the splits of each data set, and the
//! combinations of factors that `shapes` draws.

use super::{Config, DataKind};

/// `flip-crop` moves a training image by at most this many pixels in each direction, over a black border of this width.
pub const PADDING: usize = 4;

/// Images of `shapes`, unless `data.images` says otherwise.
pub const SHAPES_IMAGES: usize = 12_000;
/// Images of `shapes` at most: each takes 20 bytes of memory.
pub const SHAPES_MOST: usize = 10_000_000;
/// Rotations of `shapes`, unless `data.rotations` says otherwise. dSprites has as many.
pub const SHAPES_ROTATIONS: usize = 40;

/// Values that each factor of `shapes` takes, besides the rotation.
pub(crate) const SHAPES: [&str; 3] = ["square", "ellipse", "heart"];
const SCALES: usize = 6;
pub(crate) const PLACES: usize = 32;
pub(crate) const HUES: usize = 10;

/// Sizes of the training, validation and test split in the ratio 10 : 1 : 1. The remainder goes to training.
pub fn split_sizes(count: usize) -> [usize; 3] {
    let part = count / 12;
    [count - 2 * part, part, part]
}

impl Config {
    /// Training images of an epoch; `None` where only the files tell.
    pub fn train_images(&self) -> Option<usize> {
        let [all, ..] = self.split()?;
        Some(if self.data.limit == 0 { all } else { all.min(self.data.limit) })
    }

    /// Training, validation and test images; `None` where only the files tell.
    pub fn split(&self) -> Option<[usize; 3]> {
        Some(match self.data.kind {
            DataKind::Digits => [8_334, 833, 833],
            DataKind::Mnist | DataKind::FashionMnist => [50_000, 10_000, 10_000],
            DataKind::Cifar10 => [50_000, 5_000, 5_000],
            DataKind::Stl10 => [105_000, 4_000, 4_000],
            DataKind::Dsprites => [614_400, 61_440, 61_440],
            DataKind::Shapes => split_sizes(self.shapes_images()),
            DataKind::StanfordDogs | DataKind::Celeba | DataKind::Chairs | DataKind::Folder => return None,
        })
    }

    /// How many values each factor of `shapes` takes: shape, scale, rotation, x, y, and the hue of colour images.
    pub fn shapes_factors(&self) -> Vec<usize> {
        let mut sizes = vec![SHAPES.len(), SCALES, self.data.rotations, PLACES, PLACES];
        if self.channels() == 3 {
            sizes.push(HUES);
        }
        sizes
    }

    /// Images that `shapes` draws: `data.images`, or all combinations of the factors.
    pub fn shapes_images(&self) -> usize {
        let combinations = self.shapes_factors().iter().product();
        if self.data.images == 0 { combinations } else { self.data.images.min(combinations) }
    }

    /// Numbers in an image as the model sees it: channels × rows × columns.
    pub fn pixels(&self) -> usize {
        self.channels() * self.image_size() * self.image_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_parts_train_and_one_each_validates_and_tests() {
        assert_eq!(Some(split_sizes(10_000)), Config::default().split());
        assert_eq!(split_sizes(24), [20, 2, 2]);
        assert_eq!(split_sizes(11), [11, 0, 0]);
    }
}
