//! Images, kept as bytes until a batch of them is needed.
//!
//! A [`Source`] gives the bytes of an image, and [`Images`] describes a set of them. A [`Dataset`] is such a set in three parts.
//! A [`Transform`] makes what the model sees: size, channels, range. Two data sets need no files: `digits` are inside the program,
//! and `shapes` are drawn. Readers of files are in the crate `vae-data`. [`batches`] are prepared on a thread of their own.

mod augment;
mod batches;
pub mod digits;
pub mod idx;
mod nearest_neighbours;
pub mod shapes;
mod source;
mod transform;
pub mod unpack;

use std::sync::Arc;

use tensor::{Generator, Tensor};

use crate::config::{Config, DataKind};
use crate::error::{Error, Result};
use crate::random::Purpose;

pub use augment::Augmentation;
pub use batches::{Prepared, batches};
pub use nearest_neighbours::nearest_neighbours;
pub use source::{Bits, Factors, Images, Source};
pub use transform::Transform;

/// Some of the images, in an order.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<Images>,
    members: Vec<usize>,
}

impl Split {
    /// The images at these indices of `images`, in this order.
    pub fn new(images: Arc<Images>, members: Vec<usize>) -> Split {
        Split { images, members }
    }

    /// All images, in their order.
    pub fn all(images: Images) -> Split {
        Split { members: (0..images.count()).collect(), images: Arc::new(images) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// The images that it is a part of.
    pub fn images(&self) -> &Arc<Images> {
        &self.images
    }

    /// Writes the bytes of the image in this place.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn read(&self, place: usize, out: &mut [u8]) -> Result<()> {
        self.images.read(self.members[place], out)
    }

    /// The label of the image in this place.
    pub fn label(&self, place: usize) -> usize {
        self.images.label(self.members[place])
    }

    /// The labels of the images in these places.
    pub fn labels(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.label(place)).collect()
    }

    /// The first places, at most `count`.
    pub fn first(&self, count: usize) -> Vec<usize> {
        (0..count.min(self.count())).collect()
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
    /// What is done to training images besides.
    pub augmentation: Augmentation,
}

impl Dataset {
    /// The images of a data set that needs no files, `digits` or `shapes`.
    ///
    /// # Errors
    /// If `data.kind` is another one, and as [`Dataset::new`].
    pub fn built_in(config: &Config) -> Result<Dataset> {
        let splits = match config.data.kind {
            DataKind::Digits => digits::splits(config.seed)?,
            DataKind::Shapes => shapes::splits(config),
            kind => {
                return Err(Error::config(format!(
                    "data.kind = \"{kind}\" is read from files, and there are none here"
                )));
            }
        };
        Dataset::new(config, splits)
    }

    /// Training, validation and test images, as a configuration asks to see them.
    ///
    /// # Errors
    /// If there are too few images, or more classes than the configuration says, or an image cannot be read.
    pub fn new(config: &Config, [mut train, validation, test]: [Split; 3]) -> Result<Dataset> {
        if config.data.limit > 0 {
            train.truncate(config.data.limit);
        }
        for (split, purpose) in [(&train, "train"), (&validation, "validate")] {
            if split.count() == 0 {
                let what = format!("there are too few images of {}: none are left to {purpose}", config.data.kind);
                return Err(Error::File { path: config.data.dir.clone(), what });
            }
        }
        let classes = train.images.classes();
        if config.data.classes.is_some_and(|told| told < classes) {
            let (told, kind) = (config.classes(), config.data.kind);
            return Err(Error::config(format!(
                "data.classes = {told}, but the images of {kind} have {classes} labels; set data.classes = {classes}"
            )));
        }
        config.check_last_batch(train.count())?; // again, for those whose files alone say how many they are
        let transform = Transform::new(config, &train)?;
        Ok(Dataset { train, validation, test, transform, augmentation: Augmentation::new(config) })
    }

    /// How many different things the images show.
    pub fn classes(&self) -> usize {
        self.train.images.classes()
    }

    /// The images in these places of a split as the model sees them, `[places, channels, size, size]`, on the CPU.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn batch(&self, split: &Split, places: &[usize]) -> Result<Tensor> {
        self.transform.batch(split, places)
    }

    /// The training images in these places as an epoch sees them: mirrored, moved, noisy.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn training_batch(&self, epoch: usize, places: &[usize]) -> Result<Prepared> {
        let mut input = self.batch(&self.train, places)?;
        let len = self.transform.shape().iter().product();
        let each = |images: &mut Tensor, change: &dyn Fn(usize, &mut [f32])| {
            let pixels = images.data_mut().chunks_exact_mut(len);
            pixels.zip(places).for_each(|(pixels, &place)| change(self.train.members[place], pixels));
        };
        each(&mut input, &|image, pixels| self.augmentation.flip_and_crop(&self.transform, epoch, image, pixels));
        let clean = self.augmentation.clean(&input);
        each(&mut input, &|image, pixels| self.augmentation.add_noise(&self.transform, image, pixels));
        Ok(Prepared { input, clean, labels: self.train.labels(places) })
    }
}

/// The order in which an epoch, counted from 1, sees so many training images: a permutation of `0..images`, drawn by
/// (seed, epoch).
pub fn order(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    Purpose::Order.stream(seed, epoch as u64).permutation(images)
}

/// Splits of the given sizes, of images in the order of a permutation that `rng` draws. Images beyond the sizes are left out.
pub fn deal<const N: usize>(images: Arc<Images>, counts: [usize; N], rng: &mut Generator) -> [Split; N] {
    let order = rng.permutation(images.count());
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
        let whole = Dataset::built_in(&Config::default()).unwrap();
        let mut config = Config::default();
        config.data.limit = 7;
        let few = Dataset::built_in(&config).unwrap();
        assert_eq!(few.train.members(), &whole.train.members()[..7]);
        assert_eq!(few.validation.members(), whole.validation.members());
    }
}
