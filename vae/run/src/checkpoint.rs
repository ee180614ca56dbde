//! A checkpoint: the complete state of a run in one safetensors file.
//!
//! ```text
//! NAME                     the tensors of the model, as in a state dict
//! train.adam.m.NAME        Adam's first and second moments of each parameter that ever had a gradient,
//! train.adam.v.NAME          in the shape of the parameter
//! train.ema.NAME           the moving average of a parameter or running statistic, with train.ema
//! __metadata__.checkpoint  JSON: {sha256, format, config, data, epoch, step, sums, adam, plateau, loss_scale, best}
//! ```
//!
//! `last.safetensors` has all of these. `best.safetensors` has only the tensors of the model that were validated, which
//! are the moving averages with `train.ema`. The keys of the JSON object are:
//!
//! - `sha256`: the SHA-256 of the whole file with these 64 digits replaced by zeros, so that it covers every byte,
//! - `format`: the version of this format,
//! - `config`: the configuration as TOML, without paths, the device, and other keys that do not change the results,
//! - `data`: the preprocessing of the images, and what is in each split ([`DatasetRecord`]); missing in format 1,
//! - `epoch` and `step`: the position of the next step,
//! - `sums`: the losses, summed over the images of this epoch's steps so far,
//! - `adam`: the number of optimiser steps, Adam's t,
//! - `plateau` and `best`: the states of the learning-rate schedule and of early stopping,
//! - `loss_scale`: with `train.precision = "f16"` on a GPU, the factor of the loss and the steps since it changed.
//!
//! Each f64 is written as its bits in hexadecimal, so that it is read back exactly. There is no state of a random
//! generator, because every draw is a function of the seed and of the step, epoch or image. A checkpoint contains no
//! time, path, device or number of threads. Therefore equal runs write equal bytes.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use nn::Module;
use nn::state::StateError;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tensor::LossScale;
use vae_core::config::{Config, DeviceChoice, KlScheduleKind, Prior, ScheduleKind, Settings, Train};
use vae_core::objective::{Losses, part_name};
use vae_core::train::{EarlyStopping, ModelAndOptimiser, Trainer, TrainerState};
use vae_core::{Error, Result, hex};

use crate::dataset_record::DatasetRecord;

/// The version of the format that is written.
const FORMAT: u32 = 2;
/// The versions that are read. The first has no `data`.
const FORMATS: RangeInclusive<u64> = 1..=2;
/// The key in the metadata, and the text before the checksum. It is JSON in a JSON string, so its quotes are escaped.
const KEY: &str = "checkpoint";
const BEFORE_SUM: &[u8] = br#"\"sha256\":\""#;
/// The number of hexadecimal digits of a checksum.
const DIGITS: usize = 64;

/// The metadata of a checkpoint: everything except its tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    sha256: String,
    format: u32,
    config: String,
    #[serde(default)]
    data: Option<DatasetRecord>,
    epoch: usize,
    step: usize,
    sums: Vec<(String, Bits)>,
    adam: u64,
    plateau: Option<(Bits, usize, Bits)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<[f32; 2]>,
    best: Option<(usize, Bits)>,
}

/// An f64 that is serialised as its bits in hexadecimal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Bits(f64);

impl From<Bits> for String {
    fn from(bits: Bits) -> String {
        format!("{:016x}", bits.0.to_bits())
    }
}

impl TryFrom<String> for Bits {
    type Error = std::num::ParseIntError;

    fn try_from(digits: String) -> std::result::Result<Bits, Self::Error> {
        Ok(Bits(f64::from_bits(u64::from_str_radix(&digits, 16)?)))
    }
}

/// Returns the bytes of `last.safetensors`.
///
/// # Errors
/// Returns an error if a weight is not finite, or if a tensor cannot be read from its device.
pub async fn last(trainer: &Trainer, data: &DatasetRecord, early: &EarlyStopping) -> Result<Vec<u8>> {
    if let Some(what) = trainer.first_bad_weight().await? {
        return Err(trainer.diverged(what, trainer.steps()));
    }
    let tensors = trainer.optimiser_tensors();
    bytes(trainer, data, early, &ModelAndOptimiser { model: trainer.model(), optimiser: &tensors }).await
}

/// Returns the bytes of `best.safetensors`.
///
/// # Errors
/// Returns an error if a tensor cannot be read from its device.
pub async fn best(trainer: &Trainer, data: &DatasetRecord, early: &EarlyStopping) -> Result<Vec<u8>> {
    bytes(trainer, data, early, &*trainer.predictor().model).await
}

async fn bytes(trainer: &Trainer, data: &DatasetRecord, early: &EarlyStopping, module: &dyn Module) -> Result<Vec<u8>> {
    let TrainerState { epoch, step, sums, adam, plateau, loss_scale } = trainer.state();
    let total = std::iter::once(("total", sums.total));
    let meta = Meta {
        sha256: "0".repeat(DIGITS),
        format: FORMAT,
        config: portable(trainer.config()).to_toml(),
        data: Some(data.clone()),
        epoch,
        step,
        sums: total.chain(sums.parts).map(|(name, sum)| (name.to_owned(), Bits(sum))).collect(),
        adam,
        plateau: plateau.map(|(best, waited, scale)| (Bits(best), waited, Bits(scale))),
        loss_scale: loss_scale.map(|LossScale { scale, steps }| [scale, steps]),
        best: early.best().map(|(epoch, loss)| (epoch, Bits(loss))),
    };
    let json = serde_json::to_string(&meta).expect("numbers and words");
    let bytes = nn::state::save(module, &[(KEY, &json)]).await;
    let mut bytes = bytes.map_err(|error| match error {
        StateError::Device(error) => Error::Device(error),
        error => Error::Diverged(error.to_string()),
    })?;
    let at = checksum_offset(&bytes).expect("it was just written");
    let sum = checksum(&bytes, at);
    bytes[at..at + DIGITS].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// Returns the offset of the checksum's digits. They are in the header, whose length is in the first eight bytes of the
/// file.
fn checksum_offset(bytes: &[u8]) -> Option<usize> {
    let header = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let header = bytes.get(..usize::try_from(header).ok()?.checked_add(8)?)?;
    let at = header.windows(BEFORE_SUM.len()).position(|window| window == BEFORE_SUM)? + BEFORE_SUM.len();
    header.get(at..at + DIGITS).map(|_| at)
}

/// Computes the checksum of a file that has its checksum at offset `at`.
fn checksum(bytes: &[u8], at: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(&bytes[..at]);
    hash.update([b'0'; DIGITS]);
    hash.update(&bytes[at + DIGITS..]);
    hex(hash.finalize())
}

/// Returns the metadata of a checkpoint, or `None` if the bytes are not a checkpoint that this program wrote.
///
/// # Errors
/// Returns a message if the checkpoint is damaged or has another format.
pub fn meta(bytes: &[u8]) -> std::result::Result<Option<Meta>, String> {
    match inspect(bytes) {
        None => Ok(None),
        Some((true, meta)) => meta.map(Some),
        Some((false, _)) => {
            Err("is damaged: its bytes do not match its checksum; copy it again, or train again".into())
        }
    }
}

/// Returns whether a checkpoint matches its checksum, and its metadata. A damaged checkpoint is read as far as
/// possible. Returns `None` if the bytes are not a checkpoint that this program wrote.
pub(crate) fn inspect(bytes: &[u8]) -> Option<(bool, std::result::Result<Meta, String>)> {
    let Ok((_, Some(json))) = nn::state::contents(bytes, KEY) else { return None };
    let found = checksum_offset(bytes).map(|at| (&bytes[at..at + DIGITS], checksum(bytes, at)));
    let is_whole = found.is_some_and(|(recorded, sum)| recorded == sum.as_bytes());
    let format = serde_json::from_str::<Value>(&json).ok().and_then(|meta| meta["format"].as_u64());
    if !format.is_some_and(|format| FORMATS.contains(&format)) {
        let format = format.map_or("no".into(), |format| format.to_string());
        let what =
            format!("has format {format}, but this program reads formats 1 to {FORMAT}; use the version that wrote it");
        return Some((is_whole, Err(what)));
    }
    let meta = serde_json::from_str(&json);
    Some((is_whole, meta.map_err(|error| format!("has metadata that cannot be read: {error}"))))
}

/// Reads a file. Returns its bytes and, if it is a checkpoint that this program wrote, its metadata.
///
/// # Errors
/// Returns an error if the file cannot be read, or if it is a damaged checkpoint.
pub fn read_with_meta(path: &Path) -> Result<(Vec<u8>, Option<Meta>)> {
    let bytes = || match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(std::io::Error::other("it is not a file")),
    };
    let bytes = bytes().map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let meta = meta(&bytes).map_err(|what| Error::file(path, what))?;
    Ok((bytes, meta))
}

/// Loads the tensors of a safetensors file into a module. `path` is the path of the file, for messages.
///
/// # Errors
/// Returns an error if the bytes are not safetensors, or if a tensor is missing, unexpected or of another shape.
pub fn load_bytes(module: &dyn Module, bytes: &[u8], path: &Path) -> Result<()> {
    block_on(nn::state::load(module, bytes)).map_err(|error| match error {
        StateError::Mismatch(tensors) => {
            let more = if tensors.len() > 4 { format!("; and {} more", tensors.len() - 4) } else { String::new() };
            let some = tensors.iter().take(4).cloned().collect::<Vec<_>>().join("; ");
            Error::file(
                path,
                format!(
                    "belongs to another model: {some}{more}; use --recipe and --set to build the model that it was saved from"
                ),
            )
        }
        StateError::Damaged(what) => {
            Error::file(path, format!("is not a complete checkpoint ({what}); copy it again, or train again"))
        }
        StateError::Device(error) => Error::Device(error),
    })
}

/// Returns the bytes of a file of weights. If it is a checkpoint that this program wrote, its checksum is verified.
///
/// # Errors
/// Returns an error if the file cannot be read, or if it is a damaged checkpoint.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(read_with_meta(path)?.0)
}

/// Loads the weights of a checkpoint into a model.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a checkpoint, or belongs to another model. The message names the
/// first tensors that do not fit.
pub fn load(model: &dyn Module, path: &Path) -> Result<()> {
    load_bytes(model, &read(path)?, path)
}

impl Meta {
    /// Returns the configuration of the run, without paths, the device, and other keys that do not change the results.
    ///
    /// # Errors
    /// Returns an error if the configuration in the metadata is invalid. `path` is the path of the file, for messages.
    pub fn config(&self, path: &Path) -> Result<Config> {
        let mut settings = Settings::default();
        settings.file(&self.config, &path.display().to_string())?;
        settings.resolve()
    }

    /// Returns the description of the run's images; `None` if the checkpoint is of an older version.
    pub fn data(&self) -> Option<&DatasetRecord> {
        self.data.as_ref()
    }

    /// Returns the state of the trainer.
    pub(crate) fn state(&self) -> TrainerState {
        let mut sums = Losses::default();
        for (name, Bits(sum)) in &self.sums {
            match name.as_str() {
                "total" => sums.total = *sum,
                name => sums.parts.push((part_name(name), *sum)),
            }
        }
        let plateau = self.plateau.map(|(best, waited, scale)| (best.0, waited, scale.0));
        let loss_scale = self.loss_scale.map(|[scale, steps]| LossScale { scale, steps });
        TrainerState { epoch: self.epoch, step: self.step, sums, adam: self.adam, plateau, loss_scale }
    }

    /// Returns the best epoch and its validation loss.
    pub(crate) fn best(&self) -> Option<(usize, f64)> {
        self.best.map(|(epoch, loss)| (epoch, loss.0))
    }

    /// Restores a trainer to the state in this checkpoint. `bytes` are the checkpoint, and `path` is its path, for
    /// messages.
    pub(crate) fn restore(&self, trainer: &mut Trainer, bytes: &[u8], path: &Path) -> Result<()> {
        let damaged = |error: StateError| Error::file(path, error);
        let steps = trainer.steps_per_epoch();
        if self.epoch == 0 || self.step > steps {
            let at = format!("is from step {} of epoch {}", self.step, self.epoch);
            return Err(Error::file(
                path,
                format!("{at}, but an epoch of these images has only {steps} steps; are these other images?"),
            ));
        }
        let (names, _) = nn::state::contents(bytes, KEY).map_err(damaged)?;
        let slots = trainer.optimiser_slots(&names);
        load_bytes(&ModelAndOptimiser { model: trainer.model(), optimiser: &slots }, bytes, path)?;
        trainer.restore_state(self.state(), &slots);
        Ok(())
    }
}

/// Returns a configuration without paths, the device, and other keys that do not change the results.
pub(crate) fn portable(config: &Config) -> Config {
    let mut config = config.clone();
    config.device = DeviceChoice::Auto;
    (config.data.dir, config.data.cache) = (Config::default().data.dir, String::new());
    (config.model.init, config.model.init_encoder) = (String::new(), String::new());
    config.train.checkpoint_minutes = Train::default().checkpoint_minutes;
    config.prior = Prior::default(); // of a second stage
    config
}

/// Checks that a run with the configuration `old` can be resumed with `new`. Keys that do not change the results may
/// differ. `train.epochs` may become larger, unless a schedule depends on it.
///
/// # Errors
/// Returns an error that names the first key that must not change.
pub(crate) fn check(old: &Config, new: &Config) -> Result<()> {
    let (mut old, new) = (portable(old), portable(new));
    let (before, after) = (old.train.epochs, new.train.epochs);
    let depends_on_epochs = match (new.train.schedule, new.loss.schedule) {
        (ScheduleKind::Linear | ScheduleKind::Cosine, _) => Some("train.schedule"),
        (_, KlScheduleKind::Cyclical) => Some("loss.schedule"),
        _ => None,
    };
    match depends_on_epochs {
        Some(key) if before != after => {
            return Err(Error::config(format!(
                "train.epochs = {after}: this run's {key} was planned for {before} epochs, so with {after} it would be \
                 a different run from the first step on; start a new run with --out"
            )));
        }
        None => old.train.epochs = after.max(before),
        Some(_) => {}
    }
    let (old, new) = (settings(&old), settings(&new));
    let Some(key) = old.keys().chain(new.keys()).find(|key| old.get(*key) != new.get(*key)) else { return Ok(()) };
    let value = |all: &BTreeMap<String, Value>| all.get(key).map_or("not set".into(), Value::to_string);
    if key == "train.epochs" {
        return Err(Error::config(format!(
            "train.epochs = {after}: a resumed run may have more epochs than the {before} of its configuration, not fewer; \
             start a new run with --out"
        )));
    }
    Err(Error::config(format!(
        "{key} = {}: a resumed run keeps its configuration, in which it is {}; leave it unchanged, or start a new run with --out",
        value(&new),
        value(&old)
    )))
}

/// Returns every key of a configuration with its value.
fn settings(config: &Config) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
        for (section, value) in sections {
            match value {
                Value::Object(keys) => {
                    all.extend(keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
                }
                value => drop(all.insert(section, value)),
            }
        }
    }
    all
}

#[cfg(test)]
pub(crate) mod tests;
