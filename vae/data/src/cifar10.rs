//! CIFAR-10, from its binary version in `cifar-10-batches-bin/`. Five files are the training images. The images of the
//! sixth file are shuffled by the seed and divided into validation and test images. A record is one byte of label, then
//! 1,024 bytes each of red, green and blue.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vae_core::config::DataKind;
use vae_core::data::unpack;
use vae_core::data::{Images, Split, random_split};
use vae_core::random::Purpose;
use vae_core::{Error, Result};

use crate::archives;
use crate::file;

const RECORD: usize = 1 + 3 * 32 * 32;
const RECORDS: usize = 10_000;
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: &str = "test_batch.bin";
/// The names in `batches.meta.txt`.
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Returns the training, validation and test images in the folder `dir`.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(dir: &Path, seed: u64) -> Result<[Split; 3]> {
    let Some(folder) = folder(dir) else {
        let layout = format!("cifar-10-batches-bin/ with {}, {TEST}", TRAIN.join(", "));
        return Err(archives::missing(DataKind::Cifar10, dir, &layout));
    };
    let train = Arc::new(read(&folder, &TRAIN)?);
    let test = Arc::new(read(&folder, &[TEST])?);
    let members = (0..train.count()).collect();
    let [validation, test] = random_split(test, [RECORDS / 2; 2], &mut Purpose::Split.stream(seed, 0));
    Ok([Split::new(train, members), validation, test])
}

/// Returns whether all files exist.
pub fn files_exist(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| TRAIN.iter().chain([&TEST]).all(|name| folder.join(name).is_file());
    [dir.join("cifar-10-batches-bin"), dir.to_path_buf()].into_iter().find(holds)
}

/// Returns the images of these files, in order.
fn read(folder: &Path, names: &[&str]) -> Result<Images> {
    let (mut labels, mut pixels) = (Vec::new(), Vec::new());
    for name in names {
        let path = folder.join(name);
        let bytes = file::read(&path, 2 * (RECORDS * RECORD) as u64)?;
        append(&mut labels, &mut pixels, &bytes, RECORDS).map_err(|what| Error::file(&path, what))?;
    }
    Ok(Images::new(pixels, labels, 3, [32, 32]).with_class_names(CLASSES))
}

/// Appends the labels and pixels of a file with `count` records. Each published file has 10,000 records.
///
/// # Errors
/// Returns a message if the number of records is not `count`, or if a label is not in 0 to 9.
pub fn append(
    labels: &mut Vec<u16>,
    pixels: &mut Vec<u8>,
    bytes: &[u8],
    count: usize,
) -> std::result::Result<(), String> {
    unpack::refuse_web_page(bytes, "a batch of CIFAR-10")?;
    let expected = count * RECORD;
    if bytes.len() != expected {
        let found = bytes.len();
        return Err(format!("has {found} bytes, expected {expected} ({count} records of {RECORD}); download it again"));
    }
    for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
        if record[0] > 9 {
            return Err(format!(
                "record {i} has label {}, expected 0 to 9; this is not a batch of CIFAR-10",
                record[0]
            ));
        }
        labels.push(u16::from(record[0]));
        pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes six files. The first red and the first green byte of image `i` of file `f` encode `f` and `i`.
    fn fake(dir: &Path) -> PathBuf {
        let folder = dir.join("cifar-10-batches-bin");
        std::fs::create_dir_all(&folder).unwrap();
        for (f, name) in TRAIN.iter().chain([&TEST]).enumerate() {
            let mut bytes = vec![0_u8; RECORDS * RECORD];
            for (i, record) in bytes.chunks_exact_mut(RECORD).enumerate() {
                record[0] = (i % 10) as u8;
                record[1] = f as u8;
                record[1 + 1024] = (i % 251) as u8;
            }
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn six_files_make_three_splits_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(splits(dir.path(), 1).unwrap_err().to_string().contains("cifar-10-binary.tar.gz"));
        let folder = fake(dir.path());
        let [train, validation, test] = splits(dir.path(), 1).unwrap();
        assert_eq!([train.count(), validation.count(), test.count()], [50_000, 5_000, 5_000]);
        let mut image = [0; 3072];
        train.read(20_007, &mut image).unwrap();
        assert_eq!((image[0], image[1024], train.label(20_007)), (2, 7, 7));
        assert_eq!((train.images().class_names()[7].as_str(), train.images().classes()), ("horse", 10));
        let mut halves = [validation.indices(), test.indices()].concat();
        halves.sort_unstable();
        assert_eq!(halves, (0..10_000).collect::<Vec<_>>());
        assert_ne!(splits(dir.path(), 2).unwrap()[1].indices(), validation.indices());

        for (damage, says) in [
            (&b"<html>404"[..], "web page"),
            (&[0; 3073], "has 3073 bytes, expected 30730000"),
            (&vec![77; RECORDS * RECORD], "record 0 has label 77"),
        ] {
            std::fs::write(folder.join(TRAIN[3]), damage).unwrap();
            let message = splits(dir.path(), 1).unwrap_err().to_string();
            assert!(message.contains("data_batch_4.bin") && message.contains(says), "{message}");
        }
    }
}
