//! MNIST and Fashion-MNIST, from their four IDX files, plain or gzipped. The files are in `MNIST/raw/` or
//! `FashionMNIST/raw/` (torchvision's folders), or directly in `data.dir`. The first 50,000 images of the training file
//! are the training split, its last 10,000 the validation split. The test file is the test split.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vae_core::config::DataKind;
use vae_core::data::unpack;
use vae_core::data::{Images, Split, idx};
use vae_core::{Error, Result};

use crate::archives;
use crate::file;

/// A data set in MNIST's file format.
#[derive(Debug)]
pub struct Set {
    kind: DataKind,
    folder: &'static str,
    classes: [&'static str; 10],
}

/// MNIST: handwritten digits.
pub const MNIST: Set =
    Set { kind: DataKind::Mnist, folder: "MNIST", classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] };

/// Fashion-MNIST: clothing.
pub const FASHION: Set = Set {
    kind: DataKind::FashionMnist,
    folder: "FashionMNIST",
    classes: ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
};

/// Returns the training, validation and test images in the folder `dir`.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(dir: &Path, set: &Set) -> Result<[Split; 3]> {
    let Some(folder) = set.folder(dir) else {
        return Err(set.missing(dir));
    };
    let train = Arc::new(set.read(&folder, "train")?);
    let test = Arc::new(set.read(&folder, "t10k")?);
    let last = train.count().min(50_000);
    let part = |images: &Arc<Images>, members: std::ops::Range<usize>| Split::new(images.clone(), members.collect());
    let [a, b, c] = [part(&train, 0..last), part(&train, last..train.count()), part(&test, 0..test.count())];
    if a.count() != 50_000 || b.count() != 10_000 || c.count() != 10_000 {
        let found = format!("{} training and {} test images, expected 60000 and 10000", train.count(), test.count());
        return Err(Error::file(&folder, found));
    }
    Ok([a, b, c])
}

/// Returns whether all files exist.
pub fn files_exist(dir: &Path, set: &Set) -> bool {
    set.folder(dir).is_some()
}

impl Set {
    fn folders(&self, dir: &Path) -> [PathBuf; 2] {
        [dir.join(self.folder).join("raw"), dir.to_path_buf()]
    }

    fn folder(&self, dir: &Path) -> Option<PathBuf> {
        self.folders(dir).into_iter().find(|folder| has_all_files(folder))
    }

    /// Returns the images and labels of `part`, "train" or "t10k".
    fn read(&self, folder: &Path, part: &str) -> Result<Images> {
        let paths = file_names(part).map(|name| find_file(folder, &name).unwrap_or_else(|| folder.join(&name)));
        let (images, labels) = (file::read(&paths[0], unpack::LIMIT)?, file::read(&paths[1], unpack::LIMIT)?);
        let images = idx::read(&images, &labels).map_err(|(which, what)| Error::file(&paths[which], what))?;
        if images.classes() > self.classes.len() {
            let what =
                format!("contains the label {}, expected 0 to 9; this is not {}", images.classes() - 1, self.kind);
            return Err(Error::file(&paths[1], what));
        }
        Ok(images.with_class_names(self.classes))
    }

    fn missing(&self, dir: &Path) -> Error {
        let folder = self.folders(dir).into_iter().find(|folder| folder.is_dir());
        let absent = |name: &String| folder.as_ref().is_none_or(|folder| find_file(folder, name).is_none());
        let files: Vec<String> = ["train", "t10k"].iter().flat_map(|part| file_names(part)).filter(absent).collect();
        let layout = format!("{}/raw/ with {} (plain or .gz)", self.folder, files.join(", "));
        archives::missing(self.kind, dir, &layout)
    }
}

fn file_names(part: &str) -> [String; 2] {
    [format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte")]
}

fn has_all_files(folder: &Path) -> bool {
    ["train", "t10k"].iter().flat_map(|part| file_names(part)).all(|name| find_file(folder, &name).is_some())
}

fn find_file(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the four files. Each image has one pixel.
    fn fake(dir: &Path, train: u32, test: u32) {
        for (set, count) in [("train", train), ("t10k", test)] {
            let [images, labels] = file_names(set).map(|name| dir.join(name));
            let head = [2051, count, 1, 1].map(u32::to_be_bytes).concat();
            std::fs::write(images, [head, (0..count).map(|i| (i % 251) as u8).collect()].concat()).unwrap();
            let head = [2049, count].map(u32::to_be_bytes).concat();
            std::fs::write(labels, [head, vec![3; count as usize]].concat()).unwrap();
        }
    }

    #[test]
    fn the_last_ten_thousand_of_the_training_file_validate() {
        for (set, raw) in [(&MNIST, "MNIST/raw"), (&FASHION, "FashionMNIST/raw")] {
            let dir = tempfile::tempdir().unwrap();
            let raw = dir.path().join(raw);
            std::fs::create_dir_all(&raw).unwrap();
            fake(&raw, 60_000, 10_000);
            for folder in [dir.path(), &raw] {
                let [train, validation, test] = splits(folder, set).unwrap();
                assert_eq!([train.count(), validation.count(), test.count()], [50_000, 10_000, 10_000]);
                let first = |split: &Split, place| {
                    let mut image = [0];
                    split.read(place, &mut image).unwrap();
                    image[0]
                };
                assert_eq!((first(&validation, 0), first(&test, 7)), ((50_000 % 251) as u8, 7));
                assert_eq!(test.images().class_names()[test.label(0)], set.classes[3]);
            }
        }
    }

    #[test]
    fn each_set_reads_its_own_folder_and_errors_name_the_set() {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("FashionMNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        fake(&raw, 6, 1);
        assert!(files_exist(dir.path(), &FASHION) && !files_exist(dir.path(), &MNIST));
        let message = splits(&dir.path().join("no"), &FASHION).unwrap_err().to_string();
        assert!(message.contains("fashion-mnist not found: expected FashionMNIST/raw/ with"), "{message}");
        // Zipped, and one label too large.
        let labels = raw.join("train-labels-idx1-ubyte");
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let head = [2049_u32, 6].map(u32::to_be_bytes).concat();
        std::io::Write::write_all(&mut zipped, &[&head[..], &[1, 2, 3, 10, 4, 5]].concat()).unwrap();
        std::fs::write(raw.join("train-labels-idx1-ubyte.gz"), zipped.finish().unwrap()).unwrap();
        std::fs::remove_file(labels).unwrap();
        let message = splits(dir.path(), &FASHION).unwrap_err().to_string();
        assert!(
            message.contains("idx1-ubyte.gz: contains the label 10, expected 0 to 9; this is not fashion-mnist"),
            "{message}"
        );
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| splits(dir, &MNIST).unwrap_err().to_string();
        assert!(message(&dir.path().join("no")).contains("MNIST/raw/ with train-images-idx3-ubyte, train-labels"));
        fake(dir.path(), 7, 3);
        assert!(message(dir.path()).contains("7 training and 3 test images, expected 60000 and 10000"));
        for (train, test) in [(59_999, 10_000), (60_001, 10_000), (60_000, 9_999)] {
            fake(dir.path(), train, test);
            let words = format!("{train} training and {test} test images, expected 60000 and 10000");
            assert!(message(dir.path()).contains(&words));
        }
        fake(dir.path(), 7, 3);
        let labels = [&[2049_u32, 7].map(u32::to_be_bytes).concat()[..], &[9; 7]].concat();
        std::fs::write(dir.path().join("train-labels-idx1-ubyte"), labels).unwrap();
        assert!(message(dir.path()).contains("7 training and 3 test images"), "9 is a label");
        std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), b"<html>").unwrap();
        assert!(message(dir.path()).contains("t10k-images-idx3-ubyte: is a web page"));
        std::fs::remove_file(dir.path().join("t10k-images-idx3-ubyte")).unwrap();
        assert!(message(dir.path()).contains("MNIST/raw/ with t10k-images-idx3-ubyte (plain or .gz)"));
    }
}
