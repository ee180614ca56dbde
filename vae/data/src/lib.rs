//! Readers of data sets that are files under `data.dir`. [`load`] reads the data set that a configuration names.
//!
//! Each data set has its own module, whose documentation shows the expected folder layout. [`picture`] decodes JPEG,
//! PNG, WebP and BMP files, [`npy`] reads and writes NumPy arrays, [`latents`] reads what a
//! model decodes, [`archives`] lists where the data sets are published, and
//! [`download`] fetches them.

#![forbid(unsafe_code)]

pub mod archives;
pub mod binarized_mnist;
pub mod celeba;
pub mod chairs;
pub mod cifar10;
pub mod dogs;
pub mod download;
pub mod dsprites;
mod exif;
mod file;
pub mod folder;
mod image_hash;
mod jpeg;
pub mod latents;
pub mod mat;
pub mod memory;
pub mod mnist;
pub mod npy;
pub mod picture;
pub mod pictures;
pub mod stl10;
#[cfg(test)]
mod tests;
mod webp;

pub use image_hash::image_hash;
use vae_core::Result;
use vae_core::config::{Config, DataKind};
use vae_core::data::{Dataset, Split};

/// Returns the data set that a configuration names. Files are read from `data.dir`; nothing is downloaded.
///
/// # Errors
/// Returns an error if a file is missing or damaged, if there are too few images for the configuration, or if there are
/// more classes than `data.classes` allows. The message names the file, what was expected, and where the data set is
/// published.
pub fn load(config: &Config) -> Result<Dataset> {
    match config.data.kind {
        DataKind::Digits | DataKind::Shapes => Dataset::built_in(config),
        DataKind::Folder => {
            let folder::Own { splits, notes } = folder::splits(config)?;
            Ok(Dataset { notes, ..Dataset::new(config, splits)? })
        }
        _ => Dataset::new(config, splits(config)?),
    }
}

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
fn splits(config: &Config) -> Result<[Split; 3]> {
    match config.data.kind {
        DataKind::Mnist => mnist::splits(config.data.dir.as_ref(), &mnist::MNIST),
        DataKind::FashionMnist => mnist::splits(config.data.dir.as_ref(), &mnist::FASHION),
        DataKind::Cifar10 => cifar10::splits(config.data.dir.as_ref(), config.seed),
        DataKind::Stl10 => stl10::splits(config),
        DataKind::StanfordDogs => dogs::splits(config),
        DataKind::Celeba => celeba::splits(config),
        DataKind::Chairs => chairs::splits(config),
        DataKind::Dsprites => dsprites::splits(config),
        DataKind::BinarizedMnist => binarized_mnist::splits(config.data.dir.as_ref()),
        DataKind::Folder | DataKind::Digits | DataKind::Shapes => unreachable!("read by `load`"),
    }
}

/// Returns whether the files of a data set exist. Their contents are not checked.
pub fn files_exist(config: &Config) -> bool {
    let dir = config.data.dir.as_ref();
    match config.data.kind {
        DataKind::Mnist => mnist::files_exist(dir, &mnist::MNIST),
        DataKind::FashionMnist => mnist::files_exist(dir, &mnist::FASHION),
        DataKind::Cifar10 => cifar10::files_exist(dir),
        DataKind::Stl10 => stl10::files_exist(dir),
        DataKind::StanfordDogs => dogs::files_exist(dir),
        DataKind::Celeba => celeba::files_exist(dir),
        DataKind::Chairs => chairs::files_exist(dir),
        DataKind::Dsprites => dsprites::files_exist(dir),
        DataKind::BinarizedMnist => binarized_mnist::files_exist(dir),
        DataKind::Folder => folder::files_exist(dir),
        DataKind::Digits | DataKind::Shapes => true,
    }
}
