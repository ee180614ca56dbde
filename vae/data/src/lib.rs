//! Data sets that are files under `data.dir`: [`load`] reads the one that a configuration asks for.
//!
//! Each data set has a reader, whose file opens with the layout that it expects. `picture` makes bytes of a JPEG or PNG, `npy`
//! reads and writes NumPy's arrays, `archives` knows where the sets are published, and `download` fetches them.

#![forbid(unsafe_code)]

pub mod archives;
pub mod celeba;
pub mod chairs;
pub mod cifar10;
pub mod dogs;
pub mod download;
pub mod dsprites;
mod file;
pub mod folder;
mod jpeg;
pub mod mat;
pub mod mnist;
pub mod npy;
pub mod picture;
pub mod stl10;

use vae_core::Result;
use vae_core::config::{Config, DataKind};
use vae_core::data::{Dataset, Split};

/// The images that a configuration asks for, read from its folder where they are files. Nothing is downloaded.
///
/// # Errors
/// If files are missing or damaged (which, what was expected, and where they are published), or there are too few images,
/// or more classes, than the configuration can do with.
pub fn load(config: &Config) -> Result<Dataset> {
    match config.data.kind {
        DataKind::Digits | DataKind::Shapes => Dataset::built_in(config),
        _ => Dataset::new(config, splits(config)?),
    }
}

/// Training, validation and test images.
///
/// # Errors
/// If files are missing, damaged, or not those of the set: the first, with what was found and what was expected.
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
        DataKind::Folder => folder::splits(config),
        DataKind::Digits | DataKind::Shapes => unreachable!("no files"),
    }
}

/// Whether the files of a data set exist. They may still be damaged.
pub fn is_there(config: &Config) -> bool {
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
