//! A run that was trained, open again: its configuration, its images, and the weights of its best epoch (else the last).

use std::path::Path;

use tensor::Device;

use crate::config::{Config, Settings};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::export;
use crate::learn;
use crate::run;
use crate::train::Trainer;

/// The configuration of a run, but for what flags say: key, value and name of each that is given.
///
/// # Errors
/// If the folder holds no run, or its configuration was changed to what cannot be.
pub fn configuration(folder: &Path, flags: &[(&str, Option<&str>, &str)]) -> Result<Config> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::file(&path, format!("cannot be read: {error}; name a folder that train has left")))?;
    let mut settings = Settings::default();
    settings.file(&text, &path.display().to_string())?;
    for &(key, value, flag) in flags {
        value.map_or(Ok(()), |value| settings.flag(key, value, flag))?;
    }
    let config = settings.resolve()?;
    config.check()?;
    Ok(config)
}

/// The model of a run, with the weights of its best epoch, and its images, on a device.
///
/// # Errors
/// If the images are not there, or the checkpoint is missing, damaged, or another model's.
pub fn open(folder: &Path, config: Config, device: Device) -> Result<Trainer> {
    let dataset = Dataset::load(&config)?;
    let model = learn::build(&config);
    run::load(&*model, &export::checkpoint_of(folder)?)?;
    Ok(Trainer::of(config, dataset, model, device))
}
