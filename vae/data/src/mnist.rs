//! MNIST and Fashion-MNIST from their four IDX files, plain or gzipped, in `MNIST/raw/` or `FashionMNIST/raw/` (torchvision's
//! folders) or in the folder itself. The first 50,000 of the training file train, its last 10,000 validate; the test file tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vae_core::config::DataKind;
use vae_core::data::unpack;
use vae_core::data::{Images, Split, idx};
use vae_core::{Error, Result};

use crate::archives;
use crate::file;

/// A data set of MNIST's form.
#[derive(Debug)]
pub struct Set {
    kind: DataKind,
    folder: &'static str,
    classes: [&'static str; 10],
}

/// Handwritten digits.
pub const MNIST: Set =
    Set { kind: DataKind::Mnist, folder: "MNIST", classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] };

/// Clothing.
pub const FASHION: Set = Set {
    kind: DataKind::FashionMnist,
    folder: "FashionMNIST",
    classes: ["T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"],
};

/// Training, validation and test images of the folder `dir`.
///
/// # Errors
/// If files are missing, damaged, or not those of the set: the first, with what was found and what was expected.
pub fn splits(dir: &Path, set: &Set) -> Result<[Split; 3]> {
    let Some(folder) = set.folder(dir) else {
        return Err(set.missing(dir));
    };
    let train = Arc::new(set.pair(&folder, "train")?);
    let test = Arc::new(set.pair(&folder, "t10k")?);
    let last = train.count().min(50_000);
    let part = |images: &Arc<Images>, members: std::ops::Range<usize>| Split::new(images.clone(), members.collect());
    let [a, b, c] = [part(&train, 0..last), part(&train, last..train.count()), part(&test, 0..test.count())];
    if a.count() != 50_000 || b.count() != 10_000 || c.count() != 10_000 {
        let found = format!("{} training and {} test images, expected 60000 and 10000", train.count(), test.count());
        return Err(Error::file(&folder, found));
    }
    Ok([a, b, c])
}

/// Whether the files are there.
pub fn is_there(dir: &Path, set: &Set) -> bool {
    set.folder(dir).is_some()
}

impl Set {
    fn folders(&self, dir: &Path) -> [PathBuf; 2] {
        [dir.join(self.folder).join("raw"), dir.to_path_buf()]
    }

    fn folder(&self, dir: &Path) -> Option<PathBuf> {
        self.folders(dir).into_iter().find(|folder| holds(folder))
    }

    fn pair(&self, folder: &Path, part: &str) -> Result<Images> {
        let paths = names(part).map(|name| existing(folder, &name).unwrap_or_else(|| folder.join(&name)));
        let (images, labels) = (file::read(&paths[0], unpack::LIMIT)?, file::read(&paths[1], unpack::LIMIT)?);
        let read = idx::read(&images, &labels).map_err(|(which, what)| Error::file(&paths[which], what))?;
        if read.classes() > self.classes.len() {
            let what = format!("contains the label {}, expected 0 to 9; this is not {}", read.classes() - 1, self.kind);
            return Err(Error::file(&paths[1], what));
        }
        Ok(read.named(self.classes))
    }

    fn missing(&self, dir: &Path) -> Error {
        let folder = self.folders(dir).into_iter().find(|folder| folder.is_dir());
        let absent = |name: &String| folder.as_ref().is_none_or(|folder| existing(folder, name).is_none());
        let files: Vec<String> = ["train", "t10k"].iter().flat_map(|part| names(part)).filter(absent).collect();
        let layout = format!("{}/raw/ with {} (plain or .gz)", self.folder, files.join(", "));
        archives::missing(self.kind, dir, &layout)
    }
}

fn names(part: &str) -> [String; 2] {
    [format!("{part}-images-idx3-ubyte"), format!("{part}-labels-idx1-ubyte")]
}

fn holds(folder: &Path) -> bool {
    ["train", "t10k"].iter().flat_map(|part| names(part)).all(|name| existing(folder, &name).is_some())
}

fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with the four files, the images of one pixel each.
    fn fake(dir: &Path, train: u32, test: u32) {
        for (set, count) in [("train", train), ("t10k", test)] {
            let [images, labels] = names(set).map(|name| dir.join(name));
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
    fn the_sets_do_not_take_each_other_s_folders_and_are_called_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("FashionMNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        fake(&raw, 6, 1);
        assert!(is_there(dir.path(), &FASHION) && !is_there(dir.path(), &MNIST));
        let told = splits(&dir.path().join("no"), &FASHION).unwrap_err().to_string();
        assert!(told.contains("fashion-mnist not found: expected FashionMNIST/raw/ with"), "{told}");
        // Zipped, and one label too large.
        let labels = raw.join("train-labels-idx1-ubyte");
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let head = [2049_u32, 6].map(u32::to_be_bytes).concat();
        std::io::Write::write_all(&mut zipped, &[&head[..], &[1, 2, 3, 10, 4, 5]].concat()).unwrap();
        std::fs::write(raw.join("train-labels-idx1-ubyte.gz"), zipped.finish().unwrap()).unwrap();
        std::fs::remove_file(labels).unwrap();
        let told = splits(dir.path(), &FASHION).unwrap_err().to_string();
        assert!(
            told.contains("idx1-ubyte.gz: contains the label 10, expected 0 to 9; this is not fashion-mnist"),
            "{told}"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| splits(dir, &MNIST).unwrap_err().to_string();
        assert!(message(&dir.path().join("no")).contains("MNIST/raw/ with train-images-idx3-ubyte, train-labels"));
        fake(dir.path(), 7, 3);
        assert!(message(dir.path()).contains("7 training and 3 test images, expected 60000 and 10000"));
        std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), b"<html>").unwrap();
        assert!(message(dir.path()).contains("t10k-images-idx3-ubyte: is a web page"));
        std::fs::remove_file(dir.path().join("t10k-images-idx3-ubyte")).unwrap();
        assert!(message(dir.path()).contains("MNIST/raw/ with t10k-images-idx3-ubyte (plain or .gz)"));
    }
}
