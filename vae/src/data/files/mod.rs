//! Data sets that are files under `data.dir`: a reader each, with its layout at its top.
//!
//! `picture` makes bytes of a JPEG or PNG; `npy` reads and writes NumPy's arrays; `archives` knows where the sets are published.

pub mod archives;
pub mod celeba;
pub mod chairs;
pub mod cifar10;
pub mod dogs;
pub mod dsprites;
pub mod folder;
pub mod mat;
pub mod mnist;
pub mod npy;
pub mod picture;
pub mod stl10;

use crate::config::{Config, DataKind};
use crate::data::Split;
use crate::error::Result;

/// Training, validation and test images.
///
/// # Errors
/// If files are missing, damaged, or not those of the set: the first, with what was found and what was expected.
pub(super) fn splits(config: &Config) -> Result<[Split; 3]> {
    match config.data.kind {
        DataKind::Mnist => mnist::splits(config.data.dir.as_ref(), &mnist::MNIST),
        DataKind::FashionMnist => mnist::splits(config.data.dir.as_ref(), &mnist::FASHION),
        DataKind::Cifar10 => cifar10::splits(config.data.dir.as_ref(), config.seed),
        DataKind::Stl10 => stl10::splits(config),
        DataKind::StanfordDogs => dogs::splits(config),
        DataKind::Celeba => celeba::splits(config),
        DataKind::Chairs => chairs::splits(config),
        DataKind::Dsprites => dsprites::splits(config),
        DataKind::Folder => folder::splits(config),
        DataKind::Digits | DataKind::Shapes => unreachable!("no files"),
    }
}

/// Whether the files are there; they may still be damaged.
pub(super) fn is_there(config: &Config) -> bool {
    let dir = config.data.dir.as_ref();
    match config.data.kind {
        DataKind::Mnist => mnist::is_there(dir, &mnist::MNIST),
        DataKind::FashionMnist => mnist::is_there(dir, &mnist::FASHION),
        DataKind::Cifar10 => cifar10::is_there(dir),
        DataKind::Stl10 => stl10::is_there(dir),
        DataKind::StanfordDogs => dogs::is_there(dir),
        DataKind::Celeba => celeba::is_there(dir),
        DataKind::Chairs => chairs::is_there(dir),
        DataKind::Dsprites => dsprites::is_there(dir),
        DataKind::Folder => folder::is_there(dir),
        DataKind::Digits | DataKind::Shapes => true,
    }
}
