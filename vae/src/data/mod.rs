//! Images, as bytes until a batch is asked for.
//!
//! A [`Source`] gives the bytes of an image, [`Images`] what is known about them; a [`Dataset`] is one set of files, or
//! several, split in three; a [`Transform`] makes what the model sees: size, channels, range. `files` are read;
//! `digits` are inside the program; `shapes` are drawn. [`batches`] come from a thread of their own.

mod augment;
mod batches;
pub mod digits;
#[cfg(not(target_arch = "wasm32"))]
pub mod download;
mod file;
#[cfg(not(target_arch = "wasm32"))]
pub mod files;
pub mod idx;
pub mod shapes;
mod source;
mod transform;

use std::sync::Arc;

use tensor::{Generator, Tensor};

use crate::config::{Config, DataKind};
use crate::error::Result;
use crate::random::Purpose;

pub use augment::{Augmentation, PADDING};
pub use batches::{Prepared, batches};
pub use source::{Bits, Factors, Images, Source};
pub use transform::Transform;

/// Some of the images, in an order.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<Images>,
    members: Vec<usize>,
}

impl Split {
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
    /// The images that a configuration asks for, read from its folder where they are files. Nothing is downloaded.
    ///
    /// # Errors
    /// If files are missing or damaged (which, what was expected, and where they are published), or there are too few images,
    /// or more classes, than the configuration can do with.
    pub fn load(config: &Config) -> Result<Dataset> {
        let [mut train, validation, test] = match config.data.kind {
            DataKind::Digits => digits::splits(config.seed)?,
            DataKind::Shapes => shapes::splits(config),
            #[cfg(not(target_arch = "wasm32"))]
            _ => files::splits(config)?,
            #[cfg(target_arch = "wasm32")]
            kind => return Err(crate::Error::config(format!("data.kind = \"{kind}\": there are no files here"))),
        };
        if config.data.limit > 0 {
            train.truncate(config.data.limit);
        }
        for (split, purpose) in [(&train, "train on"), (&validation, "validate")] {
            if split.count() == 0 {
                let what = format!("there are too few images of {}: none to {purpose}", config.data.kind);
                return Err(crate::Error::File { path: config.data.dir.clone(), what });
            }
        }
        let classes = train.images.classes();
        if config.data.classes.is_some_and(|told| told < classes) {
            let (told, kind) = (config.classes(), config.data.kind);
            return Err(crate::Error::config(format!(
                "data.classes = {told}, but the images of {kind} show {classes} different things: set data.classes = {classes}"
            )));
        }
        config.check_last_batch(train.count())?; // again, for those whose files alone say how many they are
        let transform = Transform::new(config, &train)?;
        Ok(Dataset { train, validation, test, transform, augmentation: Augmentation::new(config) })
    }

    /// Whether there is anything to load; it may still be damaged.
    pub fn is_there(config: &Config) -> bool {
        match config.data.kind {
            DataKind::Digits | DataKind::Shapes => true,
            #[cfg(not(target_arch = "wasm32"))]
            _ => files::is_there(config),
            #[cfg(target_arch = "wasm32")]
            _ => false,
        }
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
        let [channels, size, _] = self.transform.shape();
        let mut out = Tensor::zeros([places.len(), channels, size, size]);
        for (image, &place) in out.data_mut().chunks_exact_mut(channels * size * size).zip(places) {
            self.transform.apply(split, place, image)?;
        }
        Ok(out)
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

/// Sizes of splits of ten parts to train on, one to validate, one to test; what does not divide trains.
pub fn ten_one_one(count: usize) -> [usize; 3] {
    let part = count / 12;
    [count - 2 * part, part, part]
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
    fn ten_parts_train_and_one_each_validates_and_tests() {
        assert_eq!(Some(ten_one_one(10_000)), Config::default().split());
        assert_eq!(ten_one_one(24), [20, 2, 2]);
        assert_eq!(ten_one_one(11), [11, 0, 0]);
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
