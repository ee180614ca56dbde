//! What a trained model is worth, in numbers: each score a file that opens with its formula, all of them a [`Scores`], which
//! `vae evaluate` writes to `scores.json` of the run and everybody else reads there.
//!
//! ```text
//! {"run": "quickstart-20261121-160000", "epoch": 5, "images": 1024,
//!  "scores": [{"name": "frechet_distance", "value": 12.5, "unit": "", "of": "1,024 samples, 833 test images, …"},
//!             {"name": "kl_per_dim", "value": 13.7, "unit": "nats", "of": "833 test images", "parts": [0.8, 0.0, …]}],
//!  "missing": [{"name": "mig", "why": "the factors of these images are not known"}]}
//! ```

#![forbid(unsafe_code)]

mod extractor;
pub mod frechet;
mod images;
pub mod inception;
mod latents;
mod matrix;
mod negation;
pub mod two_stage;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vae_core::data::Split;
use vae_core::{Error, Result};
use vae_run::Folder;
use vae_run::LoadedRun;

/// The file of a run that holds them.
pub const FILE: &str = "scores.json";

/// All that was measured of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// The name of the run's folder.
    pub run: String,
    /// Whose weights were scored, counted from 1.
    pub epoch: usize,
    /// Samples that were drawn, and test images that were taken at most.
    pub images: usize,
    /// In the order of a table.
    pub scores: Vec<Score>,
    /// What could not be measured.
    pub missing: Vec<Missing>,
    /// What a reader of the scores should know. Not kept in the file.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// As JSON has it, such as `frechet_distance`.
    pub name: String,
    /// What it came to; of a list its sum or mean, as `of` says.
    #[serde(with = "finite_or_word")]
    pub value: f64,
    /// What it is measured in; empty for a bare number.
    pub unit: String,
    /// What it was measured on and how, in a line.
    pub of: String,
    /// The parts of a list, such as one a latent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<f64>,
}

/// A score that there is none of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// As JSON has it.
    pub name: String,
    /// Why, and what to do about it, in a line.
    pub why: String,
}

/// What to measure with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Samples to draw, and test images to take at most.
    pub images: usize,
    /// A classifier of ours whose features the Fréchet distance compares: a run's folder or a checkpoint. None: the one inside
    /// the program, for digits.
    pub extractor: Option<PathBuf>,
    /// pytorch-fid's Inception-v3 as safetensors, to be used instead.
    pub inception: Option<PathBuf>,
}

/// The images that a run is judged by: its test images, or its validation images where there is nothing to test.
pub(crate) struct Judged<'a> {
    /// What they are part of.
    pub(crate) split: &'a Split,
    /// Where they are in it: the first ones.
    pub(crate) places: Vec<usize>,
    name: &'static str,
}

impl Judged<'_> {
    /// At most `images` of them.
    pub(crate) fn of(run: &LoadedRun, images: usize) -> Judged<'_> {
        let dataset = &run.dataset;
        let (split, name) = match dataset.test.count() {
            0 => (&dataset.validation, "validation images"),
            _ => (&dataset.test, "test images"),
        };
        Judged { split, places: (0..images.min(split.count())).collect(), name }
    }
}

impl fmt::Display for Judged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.places.len(), self.name)
    }
}

/// Everything that can be measured of a run.
///
/// # Errors
/// If the device fails, or a file that the options name cannot be used.
pub fn evaluate(run: &LoadedRun, options: &Options) -> Result<Scores> {
    let mut scores = Scores {
        run: run.name.clone(),
        epoch: run.epoch,
        images: options.images,
        scores: Vec::new(),
        missing: Vec::new(),
        warnings: Vec::new(),
    };
    images::score(run, options, &mut scores)?;
    latents::score(run, options, &mut scores)?;
    negation::score(run, options, &mut scores)?;
    Ok(scores)
}

impl Scores {
    /// The scores of a run, if it was evaluated.
    ///
    /// # Errors
    /// If the file is there and cannot be read as such.
    pub fn read(run: &Path) -> Result<Option<Scores>> {
        let path = run.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
        let scores = serde_json::from_str(&text);
        scores
            .map(Some)
            .map_err(|error| Error::file(&path, format!("does not contain scores ({error}); evaluate the run again")))
    }

    /// Keeps them in the folder of the run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &mut Folder) -> Result<()> {
        let json = serde_json::to_string_pretty(self).expect("numbers and words");
        folder.write(FILE, format!("{json}\n").as_bytes())
    }

    /// Adds a number.
    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &str, of: impl Into<String>) {
        self.scores.push(Score { name: name.into(), value, unit: unit.into(), of: of.into(), parts: Vec::new() });
    }

    /// Adds a number with its parts.
    pub(crate) fn add_list(&mut self, name: &str, value: f64, unit: &str, of: impl Into<String>, parts: Vec<f64>) {
        self.scores.push(Score { name: name.into(), value, unit: unit.into(), of: of.into(), parts });
    }

    /// Says that there is no such number, and why.
    pub(crate) fn lacks(&mut self, name: &str, why: impl Into<String>) {
        self.missing.push(Missing { name: name.into(), why: why.into() });
    }

    /// The score of this name.
    pub fn get(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }
}

/// Numbers that JSON has not, as words.
mod finite_or_word {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use vae_core::objective::number;

    pub(super) fn serialize<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
        number(*x).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<f64, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .ok_or_else(|| serde::de::Error::custom("a number, or NaN or inf as a word, was expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_survive_their_file() {
        let score = |name: &str, value, parts: &[f64]| Score {
            name: name.into(),
            value,
            unit: "nats".into(),
            of: "3 images".into(),
            parts: parts.to_vec(),
        };
        let scores = Scores {
            run: "a".into(),
            epoch: 2,
            images: 3,
            scores: vec![score("kl", 1.0 / 3.0, &[0.1, 0.2]), score("odd", f64::INFINITY, &[])],
            missing: vec![Missing { name: "mig".into(), why: "no factors".into() }],
            warnings: Vec::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Scores::read(dir.path()).unwrap(), None);
        scores.write(&mut Folder::of_run(dir.path())).unwrap();
        assert_eq!(Scores::read(dir.path()).unwrap().unwrap(), scores);
        assert_eq!(scores.get("odd").unwrap().value, f64::INFINITY);
        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        let error = Scores::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("evaluate the run again") && !error.contains('\n'), "{error}");
    }
}
