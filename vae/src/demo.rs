//! The trained models inside the program, for `--demo`. They are in `vae/models`, where `models.toml` says how each was made and
//! what it scores; the program holds them so that it needs no other file.

use serde::Deserialize;
use tensor::Device;
use vae_core::config::DataKind;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

/// The names and bytes of the models.
const MODELS: [(&str, &[u8]); 3] = [
    ("digits-2", include_bytes!("../models/digits-2.safetensors")),
    ("digits-16", include_bytes!("../models/digits-16.safetensors")),
    ("cifar10", include_bytes!("../models/cifar10.safetensors")),
];

/// The names, for the command line.
pub const NAMES: [&str; 3] = [MODELS[0].0, MODELS[1].0, MODELS[2].0];

/// How a model was made, and what it scores.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The name.
    pub name: String,
    /// What it shows, in a few words.
    pub shows: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// The command that trained it.
    pub command: String,
    /// The images that it was trained on, and those that it is scored on.
    pub images: String,
    /// The number of images that it is scored on; 0 if they are not inside the program.
    pub scored: usize,
    /// Its scores on those images, by the names of `vae evaluate`.
    pub scores: std::collections::BTreeMap<String, f64>,
}

/// How the models were made.
///
/// # Errors
/// If `models.toml` was changed to what cannot be.
pub fn records() -> Result<Vec<Record>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        models: Vec<Record>,
    }
    let file: std::result::Result<File, _> = toml::from_str(include_str!("../models/models.toml"));
    Ok(file.map_err(|error| Error::config(format!("models.toml: {}", error.message())))?.models)
}

/// Loads a model. Without `data_dir`, a model of digits is shown the digits inside the program; with it, and for other models, the
/// images are those of its training.
///
/// # Errors
/// If there is no model of this name, or the settings are invalid.
pub fn load(name: &str, data_dir: Option<&str>, device: Device) -> Result<LoadedRun> {
    let model = MODELS.iter().find(|(known, _)| *known == name);
    let (name, bytes) =
        model.ok_or_else(|| Error::config(format!("--demo {name}: the models are {}", NAMES.join(", "))))?;
    let images = |config: &mut vae_core::config::Config| match data_dir {
        Some(dir) => config.data.dir = dir.to_owned(),
        None if config.data.kind == DataKind::Mnist => config.data.kind = DataKind::Digits,
        None => {}
    };
    LoadedRun::of_checkpoint(name, bytes, images, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    use pollster::block_on;
    use sha2::{Digest, Sha256};
    use vae_scores::Options;

    /// The largest file.
    const MOST: usize = 2 << 20;

    #[test]
    fn every_model_is_small_and_has_its_digest() {
        let records = records().unwrap();
        assert_eq!(records.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), NAMES);
        for (record, (name, bytes)) in records.iter().zip(MODELS) {
            assert_eq!(vae_core::hex(Sha256::digest(bytes)), record.sha256, "{name}");
            assert!(bytes.len() <= MOST, "{name}: {} bytes", bytes.len());
            assert!(record.command.starts_with("train --recipe ") && !record.shows.is_empty(), "{name}");
            assert!(record.scores.contains_key("mse"), "{name}");
        }
    }

    /// The scores are computed again, on the digits inside the program, none of which the models were trained on.
    #[test]
    fn the_scores_are_those_of_the_record() {
        let mut scored = 0;
        for record in records().unwrap().iter().filter(|record| record.scored > 0) {
            let run = load(&record.name, None, Device::Cpu).unwrap();
            let options = Options { images: record.scored, nll_samples: 1, nll_images: 1, ..Options::default() };
            let scores = vae_scores::evaluate(&run, &options).unwrap();
            for (name, &want) in &record.scores {
                let found = scores.get(name).unwrap_or_else(|| panic!("{}: no {name}", record.name)).value;
                // Processors add in different orders.
                assert!((found - want).abs() <= 2e-3 * want.abs(), "{}: {name} is {found}, not {want}", record.name);
            }
            scored += 1;
        }
        assert_eq!(scored, 2);
    }

    #[test]
    fn a_model_without_its_images_draws_samples() {
        let run = load("cifar10", None, Device::Cpu).unwrap();
        assert!(run.dataset().is_err() || run.predictor.config.data.kind == DataKind::Cifar10);
        let z = block_on(run.predictor.draw(4, 1)).unwrap().unwrap();
        let pixels = block_on(run.predictor.decode_drawn(&z, &[0; 4])).unwrap().unwrap();
        assert_eq!(pixels.len(), 4 * 3 * 32 * 32);
        let mean = pixels.iter().sum::<f32>() / pixels.len() as f32;
        assert!((0.3..0.7).contains(&mean), "{mean}");
        let error = load("faces", None, Device::Cpu).err().unwrap().to_string();
        assert!(error.contains("--demo faces: the models are digits-2, digits-16, cifar10"), "{error}");
    }
}
