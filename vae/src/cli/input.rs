//! The images that a command line names: a split of the run's data set, or picture files.

use std::path::PathBuf;

use vae_core::config::{Config, Crop};
use vae_core::data::{Dataset, Split};
use vae_core::{Error, Result};
use vae_data::picture::{self, Picture, Region};
use vae_run::LoadedRun;

use super::load::warn_of_changes;

/// The split that is named, if the words are `train`, `validation` or `test`. Other words need no data set.
///
/// # Errors
/// If the images cannot be read.
pub(super) fn split_named<'a>(run: &'a LoadedRun, words: &[PathBuf]) -> Result<Option<&'a Split>> {
    let [word] = words else { return Ok(None) };
    let split: fn(&Dataset) -> &Split = match word.to_str() {
        Some("train") => |dataset| &dataset.train,
        Some("validation") => |dataset| &dataset.validation,
        Some("test") => |dataset| &dataset.test,
        _ => return Ok(None),
    };
    let split = split(run.dataset()?);
    warn_of_changes(run);
    Ok(Some(split))
}

/// Picture files as the model sees them, without labels.
///
/// # Errors
/// If one cannot be read.
pub(super) fn read(files: &[PathBuf], config: &Config) -> Result<Split> {
    let region = Region::Crop(config.data.crop.unwrap_or(Crop::Centre));
    let pictures: Vec<Picture> = files.iter().map(|path| Picture { path: path.clone(), region }).collect();
    Ok(Split::all(picture::images(&pictures, vec![0; pictures.len()], config)?))
}

/// A conditional model needs labels, which picture files do not have.
///
/// # Errors
/// If the model is conditional.
pub(super) fn refuse_conditional(config: &Config, command: &str) -> Result<()> {
    if config.condition_classes() == 0 {
        return Ok(());
    }
    Err(Error::config(format!(
        "the model needs labels (model.conditional), and other pictures have none that it knows; {command} train, validation \
         or test"
    )))
}
