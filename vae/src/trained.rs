//! A run that was trained, open again: its configuration, its images, what its epochs came to, and the weights of its best
//! epoch (else the last).

use std::path::{Path, PathBuf};

use tensor::Device;

use crate::checkpoint::{self, Meta};
use crate::config::{Config, Settings};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::export;
use crate::learn;
use crate::run;
use crate::train::{Epoch, Trainer};

/// A run, and its model.
pub struct Trained {
    /// Its folder.
    pub path: PathBuf,
    /// The model with the weights of `epoch`, and the images.
    pub trainer: Trainer,
    /// All its epochs.
    pub history: Vec<Epoch>,
    /// Whose weights these are, counted from 1; 0 if no epoch has ended.
    pub epoch: usize,
}

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

/// A run of this configuration, with the weights of its best epoch, and its images, on a device.
///
/// # Errors
/// If the images are not there, the checkpoint is missing, damaged, or another model's, or the metrics are no epochs.
pub fn open(folder: &Path, config: Config, device: Device) -> Result<Trained> {
    let dataset = Dataset::load(&config)?;
    let model = learn::build(&config);
    let (history, file) = (run::history(folder)?, export::checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::file(&file)?;
    checkpoint::fill(&*model, &bytes, &file)?;
    let epoch = epoch(&history, meta, &file);
    Ok(Trained { path: folder.to_owned(), trainer: Trainer::of(config, dataset, model, device), history, epoch })
}

/// The same of a run that has just ended, whose trainer is at hand: it gets the weights of the best epoch, for good.
///
/// # Errors
/// If the checkpoint is missing or damaged, or the metrics are no epochs.
pub fn ended(folder: &Path, mut trainer: Trainer) -> Result<Trained> {
    let (history, file) = (run::history(folder)?, export::checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::file(&file)?;
    trainer.settle_on(|model| checkpoint::fill(model, &bytes, &file))?;
    let epoch = epoch(&history, meta, &file);
    Ok(Trained { path: folder.to_owned(), trainer, history, epoch })
}

/// Whose weights a checkpoint holds.
fn epoch(history: &[Epoch], meta: Option<Meta>, file: &Path) -> usize {
    let best = meta.and_then(|meta| meta.best()).filter(|_| file.ends_with(run::BEST));
    best.map_or(history.len(), |(epoch, _)| epoch)
}

/// The name of a folder, however it was written.
pub(crate) fn name(folder: &Path) -> String {
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| folder.display().to_string())
}

impl Trained {
    /// The name of its folder.
    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// What a figure of this run is headed by: which run, and whose weights.
    pub fn title(&self) -> String {
        format!("{}, epoch {}", self.name(), self.epoch)
    }
}
