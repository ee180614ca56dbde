//! STL-10, in `stl10_binary/`. The 5,000 labelled and the 100,000 unlabelled images are the training split. The 8,000
//! test images are shuffled by the seed and divided into validation and test images.
//!
//! An image is 27,648 bytes: three planes, each stored column by column, so that pixel (c, row, col) is byte c·9216 +
//! col·96 + row. torchvision transposes in the same way. A label is one byte, 1 to 10. (A. Coates,
//! <https://cs.stanford.edu/~acoates/stl10/>.) The files have 3.1 GB. They are read a few hundred images at a time, and
//! kept in memory as bytes at the model's image size.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{DynamicImage, RgbImage};
use rayon::prelude::*;
use vae_core::config::{Config, DataKind};
use vae_core::data::unpack;
use vae_core::data::{Images, Split, random_split};
use vae_core::random::Purpose;
use vae_core::{Error, Result};

use crate::{archives, picture};

const SIDE: usize = 96;
const IMAGE: usize = 3 * SIDE * SIDE;
const FILES: [&str; 5] = ["train_X.bin", "train_y.bin", "unlabeled_X.bin", "test_X.bin", "test_y.bin"];
/// The names in `class_names.txt`, and one more for unlabelled images.
const CLASSES: [&str; 11] =
    ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck", "unlabelled"];
const UNLABELLED: u16 = 10;

/// The numbers of images in the published files: labelled training images, unlabelled training images, test images.
const PUBLISHED: [usize; 3] = [5_000, 100_000, 8_000];

/// Images that are read at once and then resized on all threads. They have 14 MB.
const CHUNK: usize = 512;

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    read(config, PUBLISHED)
}

/// Returns whether all files exist.
pub fn files_exist(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| FILES.iter().all(|name| folder.join(name).is_file());
    [dir.join("stl10_binary"), dir.to_path_buf()].into_iter().find(holds)
}

/// Returns the training, validation and test images of files with these numbers of images: labelled training images,
/// unlabelled training images, test images.
///
/// # Errors
/// Returns an error if a file is missing, has another size, or contains an invalid label.
pub fn read(config: &Config, [labelled, unlabelled, test]: [usize; 3]) -> Result<[Split; 3]> {
    let dir = config.data.dir.as_ref();
    let Some(folder) = folder(dir) else {
        return Err(archives::missing(DataKind::Stl10, dir, &format!("stl10_binary/ with {}", FILES.join(", "))));
    };
    // The sizes of all files are checked before memory is allocated for their images.
    let bytes = [labelled * IMAGE, labelled, unlabelled * IMAGE, test * IMAGE, test];
    FILES.iter().zip(bytes).try_for_each(|(name, bytes)| open(&folder.join(name), bytes as u64).map(drop))?;
    let [channels, side] = [config.channels(), config.image_size()];
    let limit = if config.data.limit == 0 { usize::MAX } else { config.data.limit };
    let first = labelled.min(limit);
    let mut train_labels = labels(&folder.join(FILES[1]), labelled)?;
    train_labels.truncate(first);
    train_labels.resize(first + unlabelled.min(limit - first), UNLABELLED);
    let mut pixels = vec![0; train_labels.len() * channels * side * side];
    let (before, after) = pixels.split_at_mut(first * channels * side * side);
    images(&folder.join(FILES[0]), labelled, channels, side, before)?;
    images(&folder.join(FILES[2]), unlabelled, channels, side, after)?;
    let train = Images::new(pixels, train_labels, channels, [side, side]).with_class_names(CLASSES);

    let test_labels = labels(&folder.join(FILES[4]), test)?;
    let mut pixels = vec![0; test * channels * side * side];
    images(&folder.join(FILES[3]), test, channels, side, &mut pixels)?;
    let halves = Images::new(pixels, test_labels, channels, [side, side]).with_class_names(CLASSES);
    let deck = &mut Purpose::Split.stream(config.seed, 0);
    let [validation, test] = random_split(Arc::new(halves), [test / 2, test - test / 2], deck);
    Ok([Split::all(train), validation, test])
}

/// Reads the first images of a file with `count` images into `out`, `[images, channels, side, side]`.
fn images(path: &Path, count: usize, channels: usize, side: usize, out: &mut [u8]) -> Result<()> {
    let mut file = open(path, (count * IMAGE) as u64)?;
    let len = channels * side * side;
    let mut raw = vec![0; CHUNK.min(out.len() / len) * IMAGE];
    for some in out.chunks_mut(CHUNK * len) {
        let raw = &mut raw[..some.len() / len * IMAGE];
        file.read_exact(raw).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
        raw.par_chunks_exact(IMAGE).zip(some.par_chunks_exact_mut(len)).for_each(|(raw, out)| {
            let at = |c: usize, x: u32, y: u32| raw[(c * SIDE + x as usize) * SIDE + y as usize];
            let pixel = |x, y| image::Rgb([0, 1, 2].map(|c| at(c, x, y)));
            let image = RgbImage::from_fn(SIDE as u32, SIDE as u32, pixel);
            picture::resize_into(&DynamicImage::ImageRgb8(image), channels, side, out);
        });
    }
    Ok(())
}

/// Returns the labels of a file with `count` labels, counted from 0.
fn labels(path: &Path, count: usize) -> Result<Vec<u16>> {
    let mut bytes = vec![0; count];
    let mut file = open(path, count as u64)?;
    file.read_exact(&mut bytes).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    if let Some(place) = bytes.iter().position(|label| !(1..=10).contains(label)) {
        let what = format!("label {place} is {}, expected 1 to 10; these are not labels of STL-10", bytes[place]);
        return Err(Error::file(path, what));
    }
    Ok(bytes.into_iter().map(|label| u16::from(label) - 1).collect())
}

/// Opens a file, which must have `expected` bytes.
fn open(path: &Path, expected: u64) -> Result<BufReader<File>> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (found, mut file) = opened.map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    if found == expected {
        return Ok(BufReader::new(file));
    }
    let mut start = Vec::new();
    let _ = file.by_ref().take(256).read_to_end(&mut start);
    unpack::refuse_web_page(&start, "a file of STL-10").map_err(|what| Error::file(path, what))?;
    Err(Error::file(path, format!("has {found} bytes, expected {expected}; unpack it again")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [usize; 3] = [3, 600, 4]; // more unlabelled than one chunk

    /// Returns pixel (c, row, col) of image `i` of a file. The value depends on the position.
    fn pixel(i: usize, c: usize, row: usize, col: usize) -> u8 {
        (i + 50 * c + 2 * row + col) as u8
    }

    fn fake(dir: &Path) -> PathBuf {
        let folder = dir.join("stl10_binary");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, count) in [("train_X.bin", COUNTS[0]), ("unlabeled_X.bin", COUNTS[1]), ("test_X.bin", COUNTS[2])] {
            let mut bytes = vec![0; count * IMAGE];
            for (i, image) in bytes.chunks_exact_mut(IMAGE).enumerate() {
                for (place, byte) in image.iter_mut().enumerate() {
                    *byte = pixel(i, place / 9216, place % 96, place % 9216 / 96);
                }
            }
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        std::fs::write(folder.join("train_y.bin"), [10, 1, 7]).unwrap();
        std::fs::write(folder.join("test_y.bin"), [1, 2, 3, 4]).unwrap();
        folder
    }

    fn config(dir: &Path, side: usize) -> Config {
        let mut config = Config::default();
        (config.data.kind, config.data.image_size) = (DataKind::Stl10, Some(side));
        config.data.dir = dir.display().to_string();
        config
    }

    #[test]
    fn columns_become_rows_and_labels_count_from_0() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path());
        let config = config(dir.path(), SIDE);
        let [train, validation, test] = read(&config, COUNTS).unwrap();
        assert_eq!([train.count(), validation.count(), test.count()], [603, 2, 2]);
        assert_eq!([0, 1, 2, 3, 602].map(|place| train.label(place)), [9, 0, 6, 10, 10]);
        let mut image = vec![0; IMAGE];
        for (place, i) in [(1, 1), (3, 0), (602, 599)] {
            train.read(place, &mut image).unwrap();
            for [c, row, col] in [[0, 0, 0], [1, 7, 90], [2, 95, 3]] {
                assert_eq!(image[(c * SIDE + row) * SIDE + col], pixel(i, c, row, col), "{place}: {c}, {row}, {col}");
            }
        }
        for split in [&validation, &test] {
            for place in 0..2 {
                split.read(place, &mut image).unwrap();
                let i = split.indices()[place];
                assert_eq!([image[0], image[2 * 9216 + 9215]], [pixel(i, 0, 0, 0), pixel(i, 2, 95, 95)]);
            }
        }
        let mut halves = [validation.indices(), test.indices()].concat();
        halves.sort_unstable();
        assert_eq!(halves, [0, 1, 2, 3]);
        assert_eq!(test.label(0), test.indices()[0]);
    }

    #[test]
    fn images_have_the_model_s_size_and_data_limit_applies() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path());
        let mut config = config(dir.path(), 48);
        config.data.limit = 5;
        let [train, validation, _] = read(&config, COUNTS).unwrap();
        assert_eq!((train.count(), train.images().memory(), validation.count()), (5, 5 * 3 * 48 * 48, 2));
        let mut image = vec![0; 3 * 48 * 48];
        train.read(0, &mut image).unwrap();
        let inside = image[48 * 10 + 20]; // a linear ramp stays linear; this pixel is between 20, 21 and 40, 41
        assert!(inside.abs_diff(40 + 1 + 40 + 1) <= 1, "{inside}");
        config.data.limit = 2;
        assert_eq!(read(&config, COUNTS).unwrap()[0].count(), 2);
        config.data.channels = Some(1);
        assert_eq!(read(&config, COUNTS).unwrap()[0].images().bytes(), 48 * 48);
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let says = || read(&config(dir.path(), 32), COUNTS).unwrap_err().to_string();
        let missing = says();
        assert!(
            missing.contains("stl10_binary/ with train_X.bin") && missing.contains("stl10_binary.tar.gz"),
            "{missing}"
        );
        let folder = fake(dir.path());
        for (name, bytes, what) in [
            ("train_y.bin", &[1, 11, 2][..], "label 1 is 11, expected 1 to 10"),
            ("test_y.bin", b"\n<!doctype html>", "web page"),
            ("test_X.bin", &[0; 5], "has 5 bytes, expected 110592"),
        ] {
            let good = std::fs::read(folder.join(name)).unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
            let message = says();
            assert!(message.contains(name) && message.contains(what), "{message}");
            std::fs::write(folder.join(name), good).unwrap();
        }
        assert!(
            splits(&config(dir.path(), 32))
                .unwrap_err()
                .to_string()
                .contains("train_X.bin: has 82944 bytes, expected 138240000")
        );
    }
}
