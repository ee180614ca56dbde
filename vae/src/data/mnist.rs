//! MNIST from its four IDX files, plain or gzipped, in `MNIST/raw/` (torchvision's folder) or in the folder itself.
//! The first 50,000 of the training file train, its last 10,000 validate; the test file tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::{Images, Split, file, idx};
use crate::error::{Error, Result};

const SOURCE: &str = "https://ossci-datasets.s3.amazonaws.com/mnist/ (from http://yann.lecun.com/exdb/mnist/)";

/// Training, validation and test images of the folder `dir`.
pub fn splits(dir: &Path) -> Result<[Split; 3]> {
    let Some(folder) = folder(dir) else {
        return Err(missing(dir));
    };
    let train = Arc::new(pair(&folder, "train")?);
    let test = Arc::new(pair(&folder, "t10k")?);
    let last = train.count().min(50_000);
    let part = |images: &Arc<Images>, members: std::ops::Range<usize>| Split {
        images: images.clone(),
        members: members.collect(),
    };
    let [a, b, c] = [part(&train, 0..last), part(&train, last..train.count()), part(&test, 0..test.count())];
    if a.count() != 50_000 || b.count() != 10_000 || c.count() != 10_000 {
        let found = format!("{} training and {} test images, expected 60000 and 10000", train.count(), test.count());
        return Err(Error::file(&folder, found));
    }
    Ok([a, b, c])
}

/// Whether the files are there.
pub fn is_there(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    [dir.join("MNIST").join("raw"), dir.to_path_buf()].into_iter().find(|folder| holds(folder))
}

fn names(set: &str) -> [String; 2] {
    [format!("{set}-images-idx3-ubyte"), format!("{set}-labels-idx1-ubyte")]
}

fn holds(folder: &Path) -> bool {
    ["train", "t10k"].iter().flat_map(|set| names(set)).all(|name| existing(folder, &name).is_some())
}

fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn pair(folder: &Path, set: &str) -> Result<Images> {
    let paths = names(set).map(|name| existing(folder, &name).unwrap_or_else(|| folder.join(&name)));
    let (images, labels) = (file::read(&paths[0])?, file::read(&paths[1])?);
    idx::read(&images, &labels).map_err(|(which, what)| Error::file(&paths[which], what))
}

fn missing(dir: &Path) -> Error {
    let folder = [dir.join("MNIST").join("raw"), dir.to_path_buf()].into_iter().find(|folder| folder.is_dir());
    let absent = |name: &String| folder.as_ref().is_none_or(|folder| existing(folder, name).is_none());
    let files: Vec<String> = ["train", "t10k"].iter().flat_map(|set| names(set)).filter(absent).collect();
    let files = files.join(", ");
    Error::file(
        dir,
        format!(
            "MNIST is not there; put {files} (plain or .gz), published at {SOURCE}, \
             into MNIST/raw/ in it, or name another folder by --data-dir"
        ),
    )
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
        let dir = tempfile::tempdir().unwrap();
        let raw = dir.path().join("MNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        fake(&raw, 60_000, 10_000);
        for folder in [dir.path(), &raw] {
            let [train, validation, test] = splits(folder).unwrap();
            assert_eq!([train.count(), validation.count(), test.count()], [50_000, 10_000, 10_000]);
            let first = |split: &Split, place| {
                let mut image = [0];
                split.read(place, &mut image).unwrap();
                image[0]
            };
            assert_eq!((first(&validation, 0), first(&test, 7)), ((50_000 % 251) as u8, 7));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = |dir: &Path| splits(dir).unwrap_err().to_string();
        assert!(message(&dir.path().join("no")).contains("put train-images-idx3-ubyte, train-labels"));
        fake(dir.path(), 7, 3);
        assert!(message(dir.path()).contains("7 training and 3 test images, expected 60000 and 10000"));
        std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), b"<html>").unwrap();
        assert!(message(dir.path()).contains("t10k-images-idx3-ubyte: is a web page"));
        std::fs::remove_file(dir.path().join("t10k-images-idx3-ubyte")).unwrap();
        assert!(message(dir.path()).contains("put t10k-images-idx3-ubyte (plain or .gz)"));
    }
}
