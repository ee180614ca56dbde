//! Images and data sets. Images are stored as bytes and converted to `f32` when a batch needs them.
//!
//! - A [`Source`] provides the bytes of each image; [`Images`] adds labels, classes and known factors.
//! - A [`Dataset`] has three [`Split`]s: training, validation and test images.
//! - A [`Transform`] converts bytes into model input: size, channels and range.
//! - An [`Augmentation`] changes training images at random.
//! - [`batches`] prepares batches on a background thread.
//!
//! Two data sets need no files: [`digits`] are part of the program, and [`shapes`] are drawn by it. The crate
//! `vae-data` reads the others from files.

mod augment;
mod batches;
mod binary;
pub mod digits;
pub mod idx;
mod mean_image;
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
pub use mean_image::mean_image_mse;
pub use nearest_neighbours::nearest_neighbours;
pub use source::{Bits, Factors, Images, Source};
pub use transform::Transform;

/// An ordered subset of [`Images`], like PyTorch's `Subset`.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<Images>,
    members: Vec<usize>,
}

impl Split {
    /// Creates a split of the images with the indices `members`, in this order.
    pub fn new(images: Arc<Images>, members: Vec<usize>) -> Split {
        Split { images, members }
    }

    /// Creates a split of all images in their original order.
    pub fn all(images: Images) -> Split {
        Split { members: (0..images.count()).collect(), images: Arc::new(images) }
    }

    /// Returns the number of images in the split.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Returns the underlying images.
    pub fn images(&self) -> &Arc<Images> {
        &self.images
    }

    /// Writes the bytes of the image at position `place` of the split to `out`.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn read(&self, place: usize, out: &mut [u8]) -> Result<()> {
        self.images.read(self.members[place], out)
    }

    /// Returns the label of the image at position `place`.
    pub fn label(&self, place: usize) -> usize {
        self.images.label(self.members[place])
    }

    /// Returns the name of the file of the image at position `place`, if the images have names.
    pub fn file_name(&self, place: usize) -> Option<&str> {
        self.images.file_name(self.members[place])
    }

    /// Returns the labels of the images at the positions `places`.
    pub fn labels(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.label(place)).collect()
    }

    /// Returns the first `count` positions, or all if there are fewer.
    pub fn first(&self, count: usize) -> Vec<usize> {
        (0..count.min(self.count())).collect()
    }

    /// Returns the indices of the split's images in the underlying [`Images`].
    pub fn indices(&self) -> &[usize] {
        &self.members
    }

    fn truncate(&mut self, limit: usize) {
        self.members.truncate(limit);
    }
}

/// A data set: its three splits and the processing of its images.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The images to train on.
    pub train: Split,
    /// The images that select the best checkpoint and stop training early.
    pub validation: Split,
    /// The images for the final evaluation.
    pub test: Split,
    /// The conversion of an image to model input.
    pub transform: Transform,
    /// The random changes to training images.
    pub augmentation: Augmentation,
    /// What a user should know about the files, a sentence each, such as how many were left out. It is empty for
    /// published data sets.
    pub notes: Vec<String>,
}

impl Dataset {
    /// Creates the data set `digits` or `shapes`, which need no files.
    ///
    /// # Errors
    /// If `data.kind` is another data set, or as [`Dataset::new`].
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

    /// Creates a data set from its training, validation and test images. `data.limit` truncates the training images.
    ///
    /// # Errors
    /// If the training or validation images are empty, if there are more classes than `data.classes`, or if an image
    /// cannot be read.
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
        if config.data.classes.is_some_and(|configured| configured < classes) {
            let (configured, kind) = (config.classes(), config.data.kind);
            return Err(Error::config(format!(
                "data.classes = {configured}, but the images of {kind} have {classes} labels; set data.classes = {classes}"
            )));
        }
        config.check_last_batch(train.count())?; // `Config::check` does not know the number of images in files
        let transform = Transform::new(config, &train)?;
        let augmentation = Augmentation::new(config);
        Ok(Dataset { train, validation, test, transform, augmentation, notes: Vec::new() })
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.train.images.classes()
    }

    /// Returns the images at the positions `places` of `split` as model input, `[places, channels, size, size]`, on the
    /// CPU.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn batch(&self, split: &Split, places: &[usize]) -> Result<Tensor> {
        self.transform.batch(split, places)
    }

    /// Returns the training images at the positions `places` as model input, with the augmentation, the binary draws and the
    /// noise of this epoch.
    ///
    /// # Errors
    /// See [`Source::read`].
    pub fn training_batch(&self, epoch: usize, places: &[usize]) -> Result<Prepared> {
        let mut input = self.transform.batch_before_draws(&self.train, places)?;
        let len = self.transform.shape().iter().product();
        let each = |images: &mut Tensor, change: &dyn Fn(usize, &mut [f32])| {
            let pixels = images.data_mut().chunks_exact_mut(len);
            pixels.zip(places).for_each(|(pixels, &place)| change(self.train.members[place], pixels));
        };
        each(&mut input, &|image, pixels| self.augmentation.flip_and_crop(&self.transform, epoch, image, pixels));
        each(&mut input, &|image, pixels| self.augmentation.make_binary(epoch, image, pixels));
        let clean = self.augmentation.clean(&input);
        each(&mut input, &|image, pixels| self.augmentation.add_noise(&self.transform, image, pixels));
        Ok(Prepared { input, clean, labels: self.train.labels(places) })
    }
}

/// Returns the order of the training images in an epoch, counted from 1: a permutation of `0..images` that depends on
/// the seed and the epoch.
pub fn order(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    Purpose::Order.stream(seed, epoch as u64).permutation(images)
}

/// Splits images at random into `N` splits of the given sizes, like PyTorch's `random_split`. Images beyond the sum of
/// the sizes are in no split.
pub fn random_split<const N: usize>(images: Arc<Images>, counts: [usize; N], rng: &mut Generator) -> [Split; N] {
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
    fn the_order_is_a_permutation_that_depends_on_seed_and_epoch() {
        let mut first = order(1, 1, 50);
        assert_ne!(first, order(1, 2, 50));
        assert_ne!(first, order(2, 1, 50));
        assert_eq!(first, order(1, 1, 50));
        first.sort_unstable();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_split_has_the_labels_and_file_names_of_its_images() {
        let images = Images::new(vec![0_u8; 3], vec![4, 5, 6], 1, [1, 1]);
        let images = images.with_file_names(["a", "b", "c"].map(str::to_owned).into());
        let split = Split::new(Arc::new(images), vec![2, 0]);
        assert_eq!((split.labels(&[1, 0]), split.file_name(0), split.file_name(1)), (vec![4, 6], Some("c"), Some("a")));
        assert_eq!(Dataset::built_in(&Config::default()).unwrap().classes(), 10);
    }

    #[test]
    fn a_limit_keeps_the_first_training_images_and_all_validation_images() {
        let whole = Dataset::built_in(&Config::default()).unwrap();
        let mut config = Config::default();
        config.data.limit = 7;
        let few = Dataset::built_in(&config).unwrap();
        assert_eq!(few.train.indices(), &whole.train.indices()[..7]);
        assert_eq!(few.validation.indices(), whole.validation.indices());
    }

    #[test]
    fn sets_that_cannot_be_trained_on_are_refused() {
        let images = || Images::new(vec![0_u8; 8], vec![0, 1], 1, [2, 2]);
        let none = || Split::new(Arc::new(images()), Vec::new());
        let of = |config: &Config, splits| Dataset::new(config, splits).map(|_| ()).map_err(|error| error.to_string());
        let config = Config::default();
        let error = of(&config, [none(), Split::all(images()), none()]).unwrap_err();
        assert!(error.contains("none are left to train"), "{error}");
        let error = of(&config, [Split::all(images()), none(), none()]).unwrap_err();
        assert!(error.contains("none are left to validate"), "{error}");
        let mut few = Config::default();
        few.data.classes = Some(1);
        let error = of(&few, [Split::all(images()), Split::all(images()), none()]).unwrap_err();
        assert!(
            error.contains("data.classes = 1, but the images of") && error.contains("set data.classes = 2"),
            "{error}"
        );
        few.data.classes = Some(2);
        assert_eq!(of(&few, [Split::all(images()), Split::all(images()), none()]), Ok(()));
        let mut files = Config::default();
        files.data.kind = DataKind::Cifar10;
        assert!(Dataset::built_in(&files).unwrap_err().to_string().contains("is read from files"));
    }

    #[test]
    fn random_splits_share_no_image_and_hold_as_many_as_there_are() {
        let images = Arc::new(Images::new(vec![0_u8; 10], vec![0; 10], 1, [1, 1]));
        let [a, b, c] = random_split(images, [4, 5, 9], &mut Purpose::Split.stream(1, 0));
        assert_eq!([a.count(), b.count(), c.count()], [4, 5, 1]);
        assert_eq!((a.first(2), c.first(9)), (vec![0, 1], vec![0]));
        let mut all = [a.indices(), b.indices(), c.indices()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }
}
