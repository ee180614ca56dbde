//! The fixed binarisation of MNIST by Larochelle and Murray (2011), from its three text files in `data.dir` or in
//! `binarized_mnist/`:
//!
//! ```text
//! binarized_mnist_train.amat    50,000 lines
//! binarized_mnist_valid.amat    10,000 lines
//! binarized_mnist_test.amat     10,000 lines
//! ```
//!
//! A line is an image: 784 numbers, 0 or 1, row by row, with a space between two. There are no labels. Published
//! likelihoods on this split compare with each other; those on draws of our own (`data.binarise`) have a mean that differs a
//! little.

use std::path::{Path, PathBuf};

use vae_core::config::DataKind;
use vae_core::data::unpack::refuse_web_page;
use vae_core::data::{Bits, Images, Split};
use vae_core::{Error, Result};

use crate::archives;
use crate::file;

/// The width and height of an image in pixels.
const SIDE: usize = 28;
/// The maximum size of a file in bytes. The largest has 78 MB.
const LIMIT: u64 = 256 << 20;
/// The files with their numbers of images.
const FILES: [(&str, usize); 3] = [
    ("binarized_mnist_train.amat", 50_000),
    ("binarized_mnist_valid.amat", 10_000),
    ("binarized_mnist_test.amat", 10_000),
];

/// Returns the training, validation and test images in the folder `dir`. They have the label 0.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or has another number of images.
pub fn splits(dir: &Path) -> Result<[Split; 3]> {
    let Some(folder) = folder(dir) else {
        return Err(archives::missing(DataKind::BinarizedMnist, dir, &FILES.map(|(name, _)| name).join(", ")));
    };
    let read = |(name, count): (&str, usize)| -> Result<Split> {
        let path = folder.join(name);
        let images = read(&file::read(&path, LIMIT)?).map_err(|what| Error::file(&path, what))?;
        match images.count() {
            found if found == count => Ok(Split::all(images)),
            found => Err(Error::file(&path, format!("contains {found} images, expected {count}"))),
        }
    };
    let [train, validation, test] = FILES;
    Ok([read(train)?, read(validation)?, read(test)?])
}

/// Returns whether all files exist.
pub fn files_exist(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    let folders = [dir.join("binarized_mnist"), dir.to_path_buf()];
    folders.into_iter().find(|folder| FILES.iter().all(|(name, _)| folder.join(name).is_file()))
}

/// Reads the lines of a file.
///
/// # Errors
/// Returns a message if a line does not have 784 numbers, or if one of them is neither 0 nor 1.
pub fn read(bytes: &[u8]) -> std::result::Result<Images, String> {
    refuse_web_page(bytes, "a list of pixels")?;
    let (mut bits, mut count) = (Bits::default(), 0);
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        pixels.clear();
        for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            pixels.push(match word {
                b"0" => 0,
                b"1" => 1,
                other => {
                    let shown = String::from_utf8_lossy(&other[..other.len().min(20)]);
                    return Err(format!("line {number}: {shown:?} is a pixel, expected 0 or 1; download it again"));
                }
            });
            if pixels.len() > SIDE * SIDE {
                break;
            }
        }
        match pixels.len() {
            0 => {} // an empty line, such as the last
            784 => {
                bits.push(&pixels);
                count += 1;
            }
            found => {
                let found = if found > SIDE * SIDE { "more than 784".to_owned() } else { found.to_string() };
                return Err(format!("line {number} has {found} numbers, expected 784; download it again"));
            }
        }
    }
    match count {
        0 => Err("contains no images; download it again".into()),
        _ => Ok(Images::new(bits, vec![0; count], 1, [SIDE, SIDE])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images whose first pixel is white, and another one that depends on the line.
    fn lines(count: usize) -> String {
        let image = |i: usize| -> String {
            let words = (0..784).map(|p| if p == 0 || p == 1 + i % 783 { "1" } else { "0" });
            words.collect::<Vec<_>>().join(" ") + " \n"
        };
        (0..count).map(image).collect()
    }

    #[test]
    fn a_line_is_an_image() {
        for text in [lines(3), lines(3).replace('\n', "\r\n"), lines(3).trim_end().to_owned()] {
            let images = read(text.as_bytes()).unwrap();
            assert_eq!((images.count(), images.size(), images.channels(), images.classes()), (3, [28, 28], 1, 1));
            let mut image = [9; 784];
            images.read(2, &mut image).unwrap();
            let white: Vec<usize> = (0..784).filter(|&p| image[p] == 255).collect();
            assert!(white == [0, 3] && image.iter().all(|&x| x == 0 || x == 255));
        }
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let good = lines(2);
        for (text, says) in [
            (good[..good.len() - 10].to_owned(), "line 2 has 780 numbers, expected 784"),
            (good.replacen("0 ", "0.5 ", 1), "line 1: \"0.5\" is a pixel, expected 0 or 1"),
            (good.replacen(" \n1", " 1", 1), "line 1 has more than 784 numbers"),
            (String::new(), "contains no images"),
            ("<html>".into(), "is a web page, not a list of pixels"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_three_files_are_the_three_splits() {
        let dir = tempfile::tempdir().unwrap();
        let error = splits(dir.path()).unwrap_err().to_string();
        assert!(error.contains("binarized-mnist not found: expected binarized_mnist_train.amat, bin"), "{error}");
        let folder = dir.path().join("binarized_mnist");
        std::fs::create_dir(&folder).unwrap();
        for (name, _) in FILES {
            std::fs::write(folder.join(name), lines(2)).unwrap();
        }
        assert!(files_exist(dir.path()) && files_exist(&folder));
        let error = splits(dir.path()).unwrap_err().to_string();
        assert!(error.contains("binarized_mnist_train.amat: contains 2 images, expected 50000"), "{error}");
    }
}
