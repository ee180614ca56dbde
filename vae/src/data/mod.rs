//! Images, as bytes until a batch is asked for: `[count, channels, height, width]`, 0 black, 255 full.
//!
//! A [`Dataset`] is one set of files, or several, split in three; a [`Transform`] makes what the model sees of its
//! images: size, channels, range. `idx`, `mnist` and `cifar10` read files; `digits` are inside the program.

#[cfg(not(target_arch = "wasm32"))]
pub mod cifar10;
pub mod digits;
pub mod idx;
#[cfg(not(target_arch = "wasm32"))]
pub mod mnist;
mod transform;

use std::sync::Arc;

use tensor::{Generator, Tensor};

use crate::config::{Config, DataKind};
use crate::error::Result;
use crate::random::Purpose;

pub use transform::Transform;

/// Images of one size, with a label each.
#[derive(Clone, Debug)]
pub struct Images {
    /// Rows of pixels, plane after plane, image after image.
    pub pixels: Vec<u8>,
    /// What each shows.
    pub labels: Vec<u8>,
    /// Planes an image.
    pub channels: usize,
    /// Rows and columns.
    pub size: [usize; 2],
}

impl Images {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// The bytes of one image.
    pub fn image(&self, index: usize) -> &[u8] {
        let len = self.channels * self.size[0] * self.size[1];
        &self.pixels[index * len..][..len]
    }
}

/// Some of the images, in an order.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<Images>,
    members: Vec<usize>,
}

impl Split {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// The bytes of the image in this place.
    pub fn image(&self, place: usize) -> &[u8] {
        self.images.image(self.members[place])
    }

    /// What the image in this place shows.
    pub fn label(&self, place: usize) -> u8 {
        self.images.labels[self.members[place]]
    }

    /// What the images in these places show.
    pub fn labels(&self, places: &[usize]) -> Vec<u8> {
        places.iter().map(|&place| self.label(place)).collect()
    }

    /// Where the images are in the files they came from.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    fn truncate(&mut self, limit: usize) {
        self.members.truncate(limit);
    }
}

/// Images to train on, to choose by, and to judge by.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// To train on.
    pub train: Split,
    /// To choose by: early stopping, the best checkpoint.
    pub validation: Split,
    /// To judge by, once.
    pub test: Split,
    /// What the model sees of an image.
    pub transform: Transform,
}

impl Dataset {
    /// The images that a configuration asks for, read from its folder where they are files.
    pub fn load(config: &Config) -> Result<Dataset> {
        let [mut train, validation, test] = match config.data.kind {
            DataKind::Digits => digits::splits(config.seed)?,
            #[cfg(not(target_arch = "wasm32"))]
            DataKind::Mnist => mnist::splits(config.data.dir.as_ref())?,
            #[cfg(not(target_arch = "wasm32"))]
            DataKind::Cifar10 => cifar10::splits(config.data.dir.as_ref(), config.seed)?,
            #[cfg(target_arch = "wasm32")]
            kind => return Err(crate::Error::config(format!("data.kind = \"{kind}\": there are no files here"))),
        };
        if config.data.limit > 0 {
            train.truncate(config.data.limit);
        }
        let transform = Transform::new(config, &train);
        Ok(Dataset { train, validation, test, transform })
    }

    /// Whether there is anything to load; it may still be damaged.
    pub fn is_there(config: &Config) -> bool {
        match config.data.kind {
            DataKind::Digits => true,
            #[cfg(not(target_arch = "wasm32"))]
            DataKind::Mnist => mnist::is_there(config.data.dir.as_ref()),
            #[cfg(not(target_arch = "wasm32"))]
            DataKind::Cifar10 => cifar10::is_there(config.data.dir.as_ref()),
            #[cfg(target_arch = "wasm32")]
            _ => false,
        }
    }

    /// The images in these places of a split, `[places, channels, size, size]`.
    pub fn batch(&self, split: &Split, places: &[usize]) -> Tensor {
        let [channels, size, _] = self.transform.shape();
        let mut out = Tensor::zeros([places.len(), channels, size, size]);
        for (image, &place) in out.data_mut().chunks_exact_mut(channels * size * size).zip(places) {
            self.transform.apply(split, place, image);
        }
        out
    }
}

/// The order in which an epoch sees the training images.
pub fn order(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    Purpose::Order.stream(seed, epoch as u64).permutation(images)
}

/// Splits of given sizes, dealt from a shuffled deck.
fn deal<const N: usize>(images: Arc<Images>, counts: [usize; N], deck: &mut Generator) -> [Split; N] {
    let order = deck.permutation(images.count());
    let mut rest = order.as_slice();
    counts.map(|count| {
        let (members, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        Split { images: images.clone(), members: members.to_vec() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_permutation_that_the_epoch_and_the_seed_decide() {
        let mut first = order(1, 1, 50);
        assert_ne!(first, order(1, 2, 50));
        assert_ne!(first, order(2, 1, 50));
        assert_eq!(first, order(1, 1, 50));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_limit_keeps_the_first_and_leaves_validation_alone() {
        let whole = Dataset::load(&Config::default()).unwrap();
        let mut config = Config::default();
        config.data.limit = 7;
        let few = Dataset::load(&config).unwrap();
        assert_eq!(few.train.members(), &whole.train.members()[..7]);
        assert_eq!(few.validation.members(), whole.validation.members());
    }
}
