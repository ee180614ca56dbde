//! What a checkpoint says about the images of its run. With it, a model is used without its images, and a change of the
//! images is noticed.
//!
//! A [`DatasetRecord`] is a part of every checkpoint. It holds the preprocessing (channels, size, crop, and the mean and
//! standard deviation that were used), the names of the labels, and the number and a digest of the images of each split:
//!
//! ```text
//! hash of an image    = the first 8 bytes of SHA-256(rows ‖ columns ‖ channels ‖ bytes), or its key if it is drawn
//! digest of a split   = SHA-256(hash of image 0 ‖ label 0 ‖ hash of image 1 ‖ label 1 ‖ …)
//! ```
//!
//! The numbers are little-endian u64. The hashes themselves are in the file `image_hashes.safetensors` of the run's folder:
//! [`ImageHashes`]. They say which images are new, and which ones the model was trained on.

use std::collections::HashSet;
use std::fmt::{Display, Formatter};
use std::path::Path;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vae_core::config::{Config, Crop, Output};
use vae_core::data::{Dataset, Split, Transform};
use vae_core::{Error, Result, hex};
use vae_data::image_hash;

/// The file in a run's folder that holds the hash of each image.
pub(crate) const HASHES: &str = "image_hashes.safetensors";
/// The names of the splits, in this order everywhere in this file.
const SPLITS: [&str; 3] = ["train", "validation", "test"];
/// The number of images that a message names.
const NAMED: usize = 10;

/// The preprocessing of a run's images, and the contents of its splits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetRecord {
    /// The number of channels that the model sees.
    pub channels: usize,
    /// The width and height in pixels that the model sees.
    pub image_size: usize,
    /// The part of each picture that is used, for pictures of any size.
    pub crop: Option<Crop>,
    /// The mean of each channel, which is subtracted from pixels in [0, 1].
    pub mean: Vec<f64>,
    /// The standard deviation of each channel, by which the difference is divided.
    pub std: Vec<f64>,
    /// The function after the decoder's last layer.
    pub output: Output,
    /// The names of the labels; empty if they have none.
    pub class_names: Vec<String>,
    /// The images to train on.
    pub train: SplitRecord,
    /// The images that select the best checkpoint.
    pub validation: SplitRecord,
    /// The images for the final evaluation.
    pub test: SplitRecord,
}

/// The contents of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// The number of images.
    pub count: usize,
    /// The digest of the images and their labels, 64 hexadecimal digits.
    pub sha256: String,
}

impl DatasetRecord {
    /// Describes a data set. `hashes` are those of its images.
    pub fn new(config: &Config, dataset: &Dataset, hashes: &ImageHashes) -> DatasetRecord {
        let [channels, image_size, _] = dataset.transform.shape();
        let of = |split: usize| SplitRecord::new(splits(dataset)[split], &hashes.0[split]);
        DatasetRecord {
            channels,
            image_size,
            crop: config.data.crop,
            mean: dataset.transform.mean.clone(),
            std: dataset.transform.std.clone(),
            output: config.model.output,
            class_names: dataset.train.images().class_names().to_vec(),
            train: of(0),
            validation: of(1),
            test: of(2),
        }
    }

    /// Returns the conversion of the run's images to model input.
    ///
    /// # Errors
    /// Returns a message if the record is not one of this configuration.
    pub fn transform(&self, config: &Config) -> std::result::Result<Transform, String> {
        let (channels, size) = (config.channels(), config.image_size());
        if [self.channels, self.image_size] != [channels, size] {
            return Err(format!(
                "the images of its metadata have {} channels and {} pixels, those of its configuration {channels} and {size}",
                self.channels, self.image_size
            ));
        }
        Transform::from_moments(size, self.mean.clone(), self.std.clone())
            .filter(|transform| transform.shape()[0] == channels)
            .map(|transform| transform.with_binary_pixels(config))
            .ok_or_else(|| format!("a mean of {:?} and a standard deviation of {:?} are invalid", self.mean, self.std))
    }

    /// Returns how a data set differs from this one, or `None` if it has the same images and labels. `recorded` are the
    /// hashes of this one's images, if they are known, and `hashes` those of the other.
    pub fn changes(
        &self,
        recorded: Option<&ImageHashes>,
        dataset: &Dataset,
        hashes: &ImageHashes,
    ) -> Option<DatasetChanges> {
        let before = [&self.train, &self.validation, &self.test];
        let now = [0, 1, 2].map(|split| SplitRecord::new(splits(dataset)[split], &hashes.0[split]));
        if before.into_iter().eq(&now) {
            return None;
        }
        let change = |split: usize| {
            let (before, now) = (before[split], &now[split]);
            let different = |a: &[u64], b: &[u64]| {
                let b: HashSet<u64> = b.iter().copied().collect();
                a.iter().filter(|hash| !b.contains(hash)).count()
            };
            SplitChange {
                is_same: before == now,
                counts: [before.count, now.count],
                new_and_missing: recorded.map(|recorded| {
                    let (before, now) = (&recorded.0[split], &hashes.0[split]);
                    [different(now, before), different(before, now)]
                }),
            }
        };
        let trained_on: [Vec<usize>; 2] = recorded.map_or_else(Default::default, |recorded| {
            let trained: HashSet<u64> = recorded.0[0].iter().copied().collect();
            let places = |split: usize| {
                let places = (0..).zip(&hashes.0[split]).filter(|(_, hash)| trained.contains(hash));
                // Copies of one image may have been in two splits from the beginning.
                let known: HashSet<u64> = recorded.0[split].iter().copied().collect();
                places.filter(|(_, hash)| !known.contains(hash)).map(|(place, _)| place).collect()
            };
            [places(1), places(2)]
        });
        let held_out = [&dataset.validation, &dataset.test];
        let files = [0, 1].map(|split| {
            let places = trained_on[split].iter().take(NAMED);
            places.filter_map(|&place| held_out[split].file_name(place).map(str::to_owned)).collect()
        });
        Some(DatasetChanges { splits: [0, 1, 2].map(change), trained_on, files })
    }
}

impl SplitRecord {
    fn new(split: &Split, hashes: &[u64]) -> SplitRecord {
        let mut sum = Sha256::new();
        // Hashes beyond the split are those of images that a resumed run was trained on before.
        for (place, hash) in hashes.iter().enumerate().take(split.count()) {
            sum.update(hash.to_le_bytes());
            sum.update((split.label(place) as u64).to_le_bytes());
        }
        SplitRecord { count: split.count(), sha256: hex(sum.finalize()) }
    }
}

fn splits(dataset: &Dataset) -> [&Split; 3] {
    [&dataset.train, &dataset.validation, &dataset.test]
}

/// The hash of each training, validation and test image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageHashes([Vec<u64>; 3]);

impl ImageHashes {
    /// Computes the hashes of a data set.
    ///
    /// # Errors
    /// Returns an error if an image cannot be read.
    pub fn of(dataset: &Dataset) -> Result<ImageHashes> {
        let hash = |split: &Split, place: usize| -> Result<u64> {
            let images = split.images();
            if let Some(key) = images.key(split.indices()[place]) {
                return Ok(key);
            }
            let mut bytes = vec![0; images.bytes()];
            split.read(place, &mut bytes)?;
            let [height, width] = images.size();
            Ok(image_hash(&bytes, [height, width, images.channels()]))
        };
        let [train, validation, test] = splits(dataset).map(|split| {
            (0..split.count()).into_par_iter().map(|place| hash(split, place)).collect::<Result<Vec<_>>>()
        });
        Ok(ImageHashes([train?, validation?, test?]))
    }

    /// Adds the training images of another data set, which a resumed run was trained on before.
    pub(crate) fn add_trained(&mut self, before: &ImageHashes) {
        let known: HashSet<u64> = self.0[0].iter().copied().collect();
        self.0[0].extend(before.0[0].iter().filter(|hash| !known.contains(hash)));
    }

    /// Returns the bytes of `image_hashes.safetensors`.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let bytes =
            self.0.each_ref().map(|hashes| hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<u8>>());
        let view =
            |split: usize| TensorView::new(Dtype::U64, vec![self.0[split].len()], &bytes[split]).expect("it fits");
        safetensors::serialize((0..3).map(|split| (SPLITS[split], view(split))), None).expect("three names")
    }

    /// Reads the hashes of a run's images. Returns `None` if the run has none, or if the file is damaged: they serve
    /// warnings only.
    pub(crate) fn read(run: &Path) -> Option<ImageHashes> {
        let bytes = std::fs::read(run.join(HASHES)).ok()?;
        let file = nn::state::open(&bytes).ok()?;
        let [train, validation, test] = SPLITS.map(|name| {
            let view = file.tensor(name).ok().filter(|view| view.dtype() == Dtype::U64)?;
            let hashes = view.data().chunks_exact(8);
            Some(hashes.map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes"))).collect())
        });
        Some(ImageHashes([train?, validation?, test?]))
    }
}

/// How the images of a data set differ from those that a run was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetChanges {
    splits: [SplitChange; 3],
    /// The positions of validation and test images that are new in their split, and that the model was trained on.
    trained_on: [Vec<usize>; 2],
    /// The files of the first of these images, if images have files.
    files: [Vec<String>; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SplitChange {
    is_same: bool,
    /// The number of images before and now.
    counts: [usize; 2],
    /// How many images are new and how many are missing, if that is known.
    new_and_missing: Option<[usize; 2]>,
}

/// One line, such as "train: 250 images, now 333 (103 new, 20 missing); test: 25 images, now 33 (28 new, 20 missing), of
/// which 5 are images that the model was trained on (positions 3, 8, 11, 12 and 20)".
impl Display for DatasetChanges {
    fn fmt(&self, f: &mut Formatter) -> std::fmt::Result {
        let mut first = true;
        for (split, change) in self.splits.iter().enumerate().filter(|(_, change)| !change.is_same) {
            let [before, now] = change.counts;
            let start = if first { "" } else { "; " };
            first = false;
            write!(f, "{start}{}: {before} images, now {now}", SPLITS[split])?;
            match change.new_and_missing {
                Some([0, 0]) if before == now => write!(f, " (in another order, or with other labels)")?,
                Some([new, missing]) => write!(f, " ({new} new, {missing} missing)")?,
                None if before == now => write!(f, " (not the same ones)")?,
                None => {}
            }
            let Some(held_out) = split.checked_sub(1) else { continue };
            let (places, files) = (&self.trained_on[held_out], &self.files[held_out]);
            let count = places.len();
            if count > 0 {
                let are = if count == 1 { "is an image that" } else { "are images that" };
                let more = if count > NAMED { ", …" } else { "" };
                write!(f, ", of which {count} {are} the model was trained on ")?;
                if files.is_empty() {
                    let s = if count == 1 { "" } else { "s" };
                    let named: Vec<String> = places.iter().take(NAMED).map(usize::to_string).collect();
                    write!(f, "(position{s} {}{more}, counted from 0)", named.join(", "))?;
                } else {
                    write!(f, "({}{more})", files.join(", "))?;
                }
            }
        }
        Ok(())
    }
}

impl DatasetChanges {
    /// Returns an error that refuses to resume a run with changed images.
    pub(crate) fn refusal(&self, run: &Path) -> Error {
        Error::config(format!(
            "{}: the images are not those that this run was trained on: {self}; restore them, or go on with these by \
             --allow-changed-data",
            run.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use vae_core::data::Images;

    use super::*;

    /// A data set whose splits have images of one pixel with these values, all with label 0, and `labels` for training.
    fn dataset(splits: [&[u8]; 3], labels: Option<&[u16]>) -> Dataset {
        let mut config = Config::default();
        (config.data.image_size, config.data.channels) = (Some(1), Some(1));
        let split = |values: &[u8], labels: Option<&[u16]>| {
            let labels = labels.map_or_else(|| vec![0; values.len()], <[u16]>::to_vec);
            Split::all(Images::new(values.to_vec(), labels, 1, [1, 1]).with_classes(2))
        };
        let [train, validation, test] = splits;
        Dataset::new(&config, [split(train, labels), split(validation, None), split(test, None)]).unwrap()
    }

    fn record(dataset: &Dataset) -> (DatasetRecord, ImageHashes) {
        let hashes = ImageHashes::of(dataset).unwrap();
        (DatasetRecord::new(&Config::default(), dataset, &hashes), hashes)
    }

    #[test]
    fn equal_images_have_no_changes_and_every_change_is_named() {
        let before = dataset([&[1, 2, 3, 4], &[5, 6], &[7, 8, 4]], None);
        let (recorded, hashes) = record(&before);
        let words = |now: &Dataset, known: bool| {
            let now_hashes = ImageHashes::of(now).unwrap();
            recorded.changes(known.then_some(&hashes), now, &now_hashes).map(|changes| changes.to_string())
        };
        assert_eq!(words(&before, true), None);
        assert_eq!(words(&dataset([&[1, 2, 3, 4], &[5, 6], &[7, 8, 4]], None), false), None);
        let same = "train: 4 images, now 4 (in another order, or with other labels)";
        assert_eq!(words(&dataset([&[2, 1, 3, 4], &[5, 6], &[7, 8, 4]], None), true).unwrap(), same);
        assert_eq!(words(&dataset([&[1, 2, 3, 4], &[5, 6], &[7, 8, 4]], Some(&[0, 1, 0, 0])), true).unwrap(), same);
        // Image 4 was in two splits from the beginning; 2 and 3 were not.
        let moved = dataset([&[1, 4, 9], &[5, 6], &[7, 2, 3, 4]], None);
        assert_eq!(
            words(&moved, true).unwrap(),
            "train: 4 images, now 3 (1 new, 2 missing); test: 3 images, now 4 (2 new, 1 missing), of which 2 are images \
             that the model was trained on (positions 1, 2, counted from 0)"
        );
        assert_eq!(words(&moved, false).unwrap(), "train: 4 images, now 3; test: 3 images, now 4");
        let one = dataset([&[1, 2, 3, 4], &[5, 1], &[7, 8, 4]], None);
        let expected = "validation: 2 images, now 2 (1 new, 1 missing), of which 1 is an image that the model was trained \
                        on (position 1, counted from 0)";
        assert_eq!(words(&one, true).unwrap(), expected);
        assert_eq!(words(&one, false).unwrap(), "validation: 2 images, now 2 (not the same ones)");
        let twice = dataset([&[1, 2, 3, 4, 4], &[5, 6], &[7, 8, 4]], None);
        assert_eq!(words(&twice, true).unwrap(), "train: 4 images, now 5 (0 new, 0 missing)");
    }

    #[test]
    fn images_of_files_are_named_by_their_files() {
        let before = dataset([&[1, 2, 3], &[5], &[7]], None);
        let (recorded, hashes) = record(&before);
        let words = |moved: &[u8]| {
            let mut now = dataset([&[1, 4], &[5], &[7]], None);
            let files = moved.iter().map(|value| format!("cats/{value}.png")).collect();
            let images = Images::new(moved.to_vec(), vec![0; moved.len()], 1, [1, 1]).with_classes(2);
            now.test = Split::all(images.with_file_names(files));
            recorded.changes(Some(&hashes), &now, &ImageHashes::of(&now).unwrap()).unwrap().to_string()
        };
        let two = "of which 2 are images that the model was trained on (cats/2.png, cats/3.png)";
        assert!(words(&[2, 7, 3]).ends_with(two), "{}", words(&[2, 7, 3]));
        let one = "of which 1 is an image that the model was trained on (cats/3.png)";
        assert!(words(&[3, 7]).ends_with(one), "{}", words(&[3, 7]));
    }

    #[test]
    fn at_most_ten_places_are_named() {
        let all: Vec<u8> = (0..12).collect();
        let (recorded, hashes) = record(&dataset([&all, &[100], &[101]], None));
        let words = |moved: &[u8]| {
            let now = dataset([&all, &[100], moved], None);
            recorded.changes(Some(&hashes), &now, &ImageHashes::of(&now).unwrap()).unwrap().to_string()
        };
        assert!(words(&all[..10]).ends_with("(positions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, counted from 0)"));
        assert!(words(&all[..11]).ends_with("which 11 are images that the model was trained on (positions 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, counted from 0)"));
    }

    #[test]
    fn images_of_an_earlier_part_of_a_run_count_as_trained_on() {
        let (first, second) = (dataset([&[1, 2], &[5], &[7]], None), dataset([&[3, 2], &[5], &[7]], None));
        let ((_, before), (recorded, mut hashes)) = (record(&first), record(&second));
        hashes.add_trained(&before);
        assert_eq!(
            DatasetRecord::new(&Config::default(), &second, &hashes),
            recorded,
            "the record is that of the second"
        );
        let now = dataset([&[3, 2], &[5], &[1]], None);
        let changes = recorded.changes(Some(&hashes), &now, &ImageHashes::of(&now).unwrap()).unwrap();
        assert_eq!(changes.trained_on, [vec![], vec![0]]);
    }

    #[test]
    fn hashes_are_read_back_and_a_damaged_file_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ImageHashes::read(dir.path()), None);
        let (_, hashes) = record(&dataset([&[1, 2], &[5], &[]], None));
        let bytes = hashes.to_bytes();
        std::fs::write(dir.path().join(HASHES), &bytes).unwrap();
        assert_eq!(ImageHashes::read(dir.path()), Some(hashes));
        let header =
            r#"{"train":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}"#;
        std::fs::write(dir.path().join(HASHES), [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat())
            .unwrap();
        assert_eq!(ImageHashes::read(dir.path()), None);
        std::fs::write(dir.path().join(HASHES), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(ImageHashes::read(dir.path()), None);
    }

    #[test]
    fn a_transform_is_that_of_the_training_and_nonsense_is_refused() {
        let mut config = Config::default();
        (config.data.image_size, config.data.channels) = (Some(1), Some(1));
        let (mut recorded, _) = record(&dataset([&[1, 2], &[5], &[7]], None));
        (recorded.mean, recorded.std) = (vec![0.25], vec![0.125]);
        let transform = recorded.transform(&config).unwrap();
        assert_eq!((transform.range(0), transform.shape()), ([-2.0, 6.0], [1, 1, 1]));
        for (mean, std) in
            [(vec![], vec![]), (vec![0.0; 3], vec![1.0; 3]), (vec![0.0], vec![0.0]), (vec![f64::NAN], vec![1.0])]
        {
            assert!(
                DatasetRecord { mean, std, ..recorded.clone() }.transform(&config).unwrap_err().contains("invalid")
            );
        }
        config.data.image_size = Some(2);
        assert!(recorded.transform(&config).unwrap_err().contains("1 channels and 1 pixels"));
    }
}
