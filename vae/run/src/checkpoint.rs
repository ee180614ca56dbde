//! A checkpoint: all that decides the rest of a run, in one safetensors file.
//!
//! ```text
//! NAME                     the model's tensors, as a state dict has them
//! train.adam.m.NAME        Adam's moments of a parameter that ever had a gradient, of its shape
//! train.adam.v.NAME
//! train.ema.NAME           the average of a parameter, with train.ema
//! __metadata__.checkpoint  JSON: {sha256, format, config, epoch, step, sums, adam, plateau, best}
//! ```
//!
//! `last.safetensors` has all of it, `best.safetensors` only the model's tensors as they were validated (averages, with
//! `train.ema`). In the JSON, `config` is TOML without paths, device and what else moves no number, `epoch` and `step` where the
//! next step stands, `sums` the losses of this epoch's steps over images, `adam` the optimiser's t, `plateau` and `best` what
//! the schedule and early stopping know. Numbers that are f64 are written as their bits, in hexadecimal: what is read is what
//! was. No random state is kept, since there is none: every draw is a function of (seed, step | epoch | image). Nothing of time,
//! place, device or threads is in it, so that equal runs leave equal bytes.
//!
//! `sha256` is that of the whole file with these 64 digits being 0, so that it answers for every byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nn::Module;
use nn::state::StateError;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vae_core::config::{Config, DeviceChoice, KlScheduleKind, ScheduleKind, Settings, Train};
use vae_core::objective::{Losses, part_name};
use vae_core::train::{EarlyStopping, ModelAndOptimiser, Trainer, TrainerState};
use vae_core::{Error, Result};

/// The version of what is described above.
const FORMAT: u32 = 1;
/// The entry of the metadata, and how its checksum begins as JSON inside JSON.
const KEY: &str = "checkpoint";
const BEFORE_SUM: &[u8] = br#"\"sha256\":\""#;
/// Hexadecimal digits of a checksum.
const DIGITS: usize = 64;

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    sha256: String,
    format: u32,
    config: String,
    epoch: usize,
    step: usize,
    sums: Vec<(String, Bits)>,
    adam: u64,
    plateau: Option<(Bits, usize, Bits)>,
    best: Option<(usize, Bits)>,
}

/// A number by its bits.
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

/// The bytes of `last.safetensors`.
///
/// # Errors
/// If a weight is not finite, or a tensor cannot be fetched from its device.
pub fn last(trainer: &Trainer, early: &EarlyStopping) -> Result<Vec<u8>> {
    if let Some(what) = block_on(trainer.first_bad_weight())? {
        return Err(trainer.diverged(what, trainer.steps()));
    }
    let tensors = trainer.optimiser_tensors();
    bytes(trainer, early, &ModelAndOptimiser { model: trainer.model(), optimiser: &tensors })
}

/// The bytes of `best.safetensors`.
///
/// # Errors
/// If a tensor cannot be fetched from its device.
pub fn best(trainer: &Trainer, early: &EarlyStopping) -> Result<Vec<u8>> {
    bytes(trainer, early, &*trainer.predictor().model)
}

fn bytes(trainer: &Trainer, early: &EarlyStopping, module: &dyn Module) -> Result<Vec<u8>> {
    let TrainerState { epoch, step, sums, adam, plateau } = trainer.state();
    let total = std::iter::once(("total", sums.total)).filter(|_| step > 0);
    let meta = Meta {
        sha256: "0".repeat(DIGITS),
        format: FORMAT,
        config: portable(trainer.config()).to_toml(),
        epoch,
        step,
        sums: total.chain(sums.parts).map(|(name, sum)| (name.to_owned(), Bits(sum))).collect(),
        adam,
        plateau: plateau.map(|(best, waited, scale)| (Bits(best), waited, Bits(scale))),
        best: early.best().map(|(epoch, loss)| (epoch, Bits(loss))),
    };
    let json = serde_json::to_string(&meta).expect("numbers and words");
    let bytes = block_on(nn::state::save(module, Some((KEY, &json))));
    let mut bytes = bytes.map_err(|error| match error {
        StateError::Device(error) => Error::Device(error),
        error => Error::Diverged(error.to_string()),
    })?;
    let at = place_of_sum(&bytes).expect("it was just written");
    let sum = checksum(&bytes, at);
    bytes[at..at + DIGITS].copy_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// Where the checksum's digits are: in the header, whose length is the file's first eight bytes.
fn place_of_sum(bytes: &[u8]) -> Option<usize> {
    let header = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let header = bytes.get(..usize::try_from(header).ok()?.checked_add(8)?)?;
    let at = header.windows(BEFORE_SUM.len()).position(|window| window == BEFORE_SUM)? + BEFORE_SUM.len();
    (at + DIGITS <= header.len()).then_some(at)
}

/// The checksum of a file whose own checksum stands there.
fn checksum(bytes: &[u8], at: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(&bytes[..at]);
    hash.update([b'0'; DIGITS]);
    hash.update(&bytes[at + DIGITS..]);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the bytes of a file say if they are a checkpoint of ours; None if they are something else, or not even safetensors.
pub fn meta(bytes: &[u8]) -> std::result::Result<Option<Meta>, String> {
    match told(bytes) {
        None => Ok(None),
        Some((true, meta)) => meta.map(Some),
        Some((false, _)) => {
            Err("is damaged: its bytes do not match its checksum; copy it again, or train again".into())
        }
    }
}

/// Of a checkpoint of ours, damaged or not: whether its bytes come to the checksum in it, and what it says of its run.
pub(crate) fn told(bytes: &[u8]) -> Option<(bool, std::result::Result<Meta, String>)> {
    let Ok((_, Some(json))) = nn::state::contents(bytes, KEY) else { return None };
    let found = place_of_sum(bytes).map(|at| (&bytes[at..at + DIGITS], checksum(bytes, at)));
    let is_whole = found.is_some_and(|(told, sum)| told == sum.as_bytes());
    let format = serde_json::from_str::<Value>(&json).ok().and_then(|meta| meta["format"].as_u64());
    if format != Some(u64::from(FORMAT)) {
        let format = format.map_or("no".into(), |format| format.to_string());
        let what =
            format!("has format {format}, but this program reads format {FORMAT}; use the version that wrote it");
        return Some((is_whole, Err(what)));
    }
    let meta = serde_json::from_str(&json);
    Some((is_whole, meta.map_err(|error| format!("has metadata that cannot be read: {error}"))))
}

/// A file's bytes, and what they say of a run, if they do.
pub fn file(path: &Path) -> Result<(Vec<u8>, Option<Meta>)> {
    let bytes = || match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(std::io::Error::other("it is not a file")),
    };
    let bytes = bytes().map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let meta = meta(&bytes).map_err(|what| Error::file(path, what))?;
    Ok((bytes, meta))
}

/// Fills a module with the tensors of a file that was at `path`.
pub fn fill(module: &dyn Module, bytes: &[u8], path: &Path) -> Result<()> {
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

/// The bytes of a file of weights; if it is a checkpoint of ours, its checksum holds.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    Ok(file(path)?.0)
}

/// Fills a model with the weights of a checkpoint.
///
/// # Errors
/// If the file cannot be read, is no checkpoint, or is another model's: every tensor that does not fit, by name.
pub fn load(model: &dyn Module, path: &Path) -> Result<()> {
    fill(model, &read(path)?, path)
}

impl Meta {
    /// The configuration, but for what moves no number.
    pub fn config(&self, path: &Path) -> Result<Config> {
        let mut settings = Settings::default();
        settings.file(&self.config, &path.display().to_string())?;
        settings.resolve()
    }

    /// Where training stands.
    pub(crate) fn state(&self) -> TrainerState {
        let mut sums = Losses::default();
        for (name, Bits(sum)) in &self.sums {
            match name.as_str() {
                "total" => sums.total = *sum,
                name => sums.parts.push((part_name(name), *sum)),
            }
        }
        let plateau = self.plateau.map(|(best, waited, scale)| (best.0, waited, scale.0));
        TrainerState { epoch: self.epoch, step: self.step, sums, adam: self.adam, plateau }
    }

    /// The best epoch and its loss.
    pub(crate) fn best(&self) -> Option<(usize, f64)> {
        self.best.map(|(epoch, loss)| (epoch, loss.0))
    }

    /// Puts a trainer where the one stood that wrote these bytes, which were at `path`.
    pub(crate) fn restore(&self, trainer: &mut Trainer, bytes: &[u8], path: &Path) -> Result<()> {
        let damaged = |error: StateError| Error::file(path, error);
        let steps = trainer.dataset.train.count().div_ceil(trainer.config().train.batch_size);
        if self.epoch == 0 || self.step > steps {
            let at = format!("is from step {} of epoch {}", self.step, self.epoch);
            return Err(Error::file(
                path,
                format!("{at}, but an epoch of these images has only {steps} steps; are these other images?"),
            ));
        }
        let (names, _) = nn::state::contents(bytes, KEY).map_err(damaged)?;
        let slots = trainer.optimiser_slots(&names);
        fill(&ModelAndOptimiser { model: trainer.model(), optimiser: &slots }, bytes, path)?;
        trainer.restore_state(self.state(), &slots);
        Ok(())
    }
}

/// A configuration without paths, device and whatever else moves no number.
fn portable(config: &Config) -> Config {
    let mut config = config.clone();
    config.device = DeviceChoice::Auto;
    config.data.dir = Config::default().data.dir;
    (config.model.init, config.model.init_encoder) = (String::new(), String::new());
    config.train.checkpoint_minutes = Train::default().checkpoint_minutes;
    config
}

/// Refuses what a run that was trained by `old` cannot go on with: whatever moves a number, but for more epochs where nothing
/// else depends on how many there are.
///
/// # Errors
/// In one line, which names the key.
pub(crate) fn check(old: &Config, new: &Config) -> Result<()> {
    let (mut old, new) = (portable(old), portable(new));
    let (before, after) = (old.train.epochs, new.train.epochs);
    let of_all = match (new.train.schedule, new.loss.schedule) {
        (ScheduleKind::Linear | ScheduleKind::Cosine, _) => Some("train.schedule"),
        (_, KlScheduleKind::Cyclical) => Some("loss.schedule"),
        _ => None,
    };
    match of_all {
        Some(key) if before != after => {
            return Err(Error::config(format!(
                "train.epochs = {after}: this run's {key} was planned for {before} epochs, so with {after} it would be \
                 a different run from the first step on; start a new run with --out"
            )));
        }
        None if after > before => old.train.epochs = after,
        _ => {}
    }
    let (old, new) = (settings(&old), settings(&new));
    let Some(key) = old.keys().chain(new.keys()).find(|key| old.get(*key) != new.get(*key)) else { return Ok(()) };
    let value = |all: &BTreeMap<String, Value>| all.get(key).map_or("not set".into(), Value::to_string);
    Err(Error::config(format!(
        "{key} = {}: a resumed run keeps its configuration, in which it is {}; leave it unchanged, or start a new run with --out",
        value(&new),
        value(&old)
    )))
}

/// Every key of a configuration, and its value.
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
mod tests;
