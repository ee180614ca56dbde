//! Scores of trained models. Each score has a module, whose documentation starts with the formula. [`evaluate`]
//! computes all of them and returns a [`Scores`]. `vae evaluate` writes it to `scores.json` in the folder of the run,
//! and the other commands read that file:
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
mod names;
mod negation;
mod preprocess;
mod prior;
pub mod two_stage;

pub use images::is_no_better_than_mean;
pub use names::names;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vae_core::data::Split;
use vae_core::{Error, Result};
use vae_run::Folder;
use vae_run::LoadedRun;

/// The name of the file of scores in the folder of a run.
pub const FILE: &str = "scores.json";

/// All scores of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// The name of the run.
    pub run: String,
    /// The epoch of the weights, counted from 1.
    pub epoch: usize,
    /// The number of samples that were drawn, and the maximum number of test images that were used.
    pub images: usize,
    /// The prior that was fitted after training and from which samples were drawn; empty for that of the model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fitted_prior: String,
    /// The scores, in the order of a table.
    pub scores: Vec<Score>,
    /// The scores that could not be computed.
    pub missing: Vec<Missing>,
    /// Warnings about the scores, such as too few images. They are not in the file.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// One score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The name of the score in JSON, such as `frechet_distance`.
    pub name: String,
    /// The value. If there are `parts`, it summarises them, for example as their sum or mean.
    #[serde(with = "finite_or_word")]
    pub value: f64,
    /// The unit; empty for a dimensionless number.
    pub unit: String,
    /// The images that were used and how, in one line.
    pub of: String,
    /// The parts of the score, such as one number per latent; empty if it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "finite_or_words")]
    pub parts: Vec<f64>,
    /// Why the value misleads, such as a bias or a limit of the estimate, in one line; empty if it does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caveat: String,
}

/// A score that could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The name of the score in JSON.
    pub name: String,
    /// The reason, and what to do about it, in one line.
    pub why: String,
}

/// The options of [`evaluate`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of samples to draw, and the maximum number of test images to use.
    pub images: usize,
    /// A classifier of this program whose features the Fréchet distance compares: the folder of a run, or a checkpoint.
    /// `None` means the built-in classifier of digits, which is used for images of digits only.
    pub extractor: Option<PathBuf>,
    /// The weights of pytorch-fid's Inception-v3 as safetensors. If given, it replaces the classifier for the distances.
    pub inception: Option<PathBuf>,
    /// The number of draws for each image in the negative log-likelihood, at least 1.
    pub nll_samples: usize,
    /// The maximum number of test images for the negative log-likelihood, at least 1.
    pub nll_images: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { images: 1024, extractor: None, inception: None, nll_samples: 256, nll_images: 128 }
    }
}

/// The images on which a run is scored: its test images, or its validation images if it has no test images.
pub(crate) struct EvalImages<'a> {
    /// The split that contains them.
    pub(crate) split: &'a Split,
    /// Their positions in the split, from 0.
    pub(crate) places: Vec<usize>,
    name: &'static str,
}

impl EvalImages<'_> {
    /// Returns the first images of the split, at most `images`.
    ///
    /// # Errors
    /// Returns an error if the images cannot be read.
    pub(crate) fn of(run: &LoadedRun, images: usize) -> Result<EvalImages<'_>> {
        let dataset = run.dataset()?;
        let (split, name) = match dataset.test.count() {
            0 => (&dataset.validation, "validation images"),
            _ => (&dataset.test, "test images"),
        };
        Ok(EvalImages { split, places: (0..images.min(split.count())).collect(), name })
    }
}

impl fmt::Display for EvalImages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.places.len(), self.name)
    }
}

/// Computes all scores of a run. A score that cannot be computed is in [`Scores::missing`].
///
/// # Errors
/// Returns an error if the device fails, or if a file in the options cannot be used.
pub fn evaluate(run: &LoadedRun, options: &Options) -> Result<Scores> {
    let mut scores = Scores {
        run: run.name.clone(),
        epoch: run.epoch,
        images: options.images,
        fitted_prior: fitted_prior(run),
        ..Scores::default()
    };
    images::score(run, options, &mut scores)?;
    latents::score(run, options, &mut scores)?;
    negation::score(run, options, &mut scores)?;
    prior::score(run, options, &mut scores)?;
    if let Some(changes) = run.changes() {
        scores.warnings.push(format!(
            "{}: the images have changed since the training, so these scores are of other images: {changes}",
            run.path.display()
        ));
    }
    Ok(scores)
}

/// Describes the prior that was fitted after training and from which samples of this run are drawn; empty if there is none.
pub fn fitted_prior(run: &LoadedRun) -> String {
    run.predictor.prior.as_ref().map_or_else(String::new, |prior| prior.words())
}

impl Scores {
    /// Reads the scores of a run. Returns `None` if the run was not evaluated.
    ///
    /// # Errors
    /// Returns an error if the file exists but cannot be read or parsed.
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

    /// Writes the scores to the folder of the run.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, folder: &mut Folder) -> Result<()> {
        let json = serde_json::to_string_pretty(self).expect("numbers and words");
        folder.write(FILE, format!("{json}\n").as_bytes())
    }

    /// Adds a score.
    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &str, of: impl Into<String>) {
        self.add_list(name, value, unit, of, Vec::new());
    }

    /// Adds a score with its parts.
    pub(crate) fn add_list(&mut self, name: &str, value: f64, unit: &str, of: impl Into<String>, parts: Vec<f64>) {
        let (name, unit, of) = (name.into(), unit.into(), of.into());
        self.scores.push(Score { name, value, unit, of, parts, caveat: String::new() });
    }

    /// Records why the score that was added last misleads.
    pub(crate) fn add_caveat(&mut self, why: impl Into<String>) {
        self.scores.last_mut().expect("a score was added").caveat = why.into();
    }

    /// Records that a score could not be computed, and why.
    pub(crate) fn add_missing(&mut self, name: &str, why: impl Into<String>) {
        self.missing.push(Missing { name: name.into(), why: why.into() });
    }

    /// Returns the score with this name.
    pub fn get(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }
}

/// Serialises a number that JSON cannot represent (NaN, infinity) as a string.
mod finite_or_word {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use vae_core::objective::{number, parse_number};

    pub(super) fn serialize<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
        number(*x).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<f64, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        parse_number(&value).ok_or_else(|| serde::de::Error::custom("a number, or NaN or inf as a word, was expected"))
    }
}

/// The same for a list of numbers.
mod finite_or_words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super::finite_or_word")] f64);

    pub(super) fn serialize<S: Serializer>(all: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all.iter().map(|&x| Number(x)))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Number>::deserialize(from)?.into_iter().map(|Number(x)| x).collect())
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
            caveat: if parts.is_empty() { String::new() } else { "biased".into() },
        };
        let scores = Scores {
            run: "a".into(),
            epoch: 2,
            images: 3,
            fitted_prior: String::new(),
            scores: vec![score("kl", 1.0 / 3.0, &[0.1, 0.2]), score("odd", f64::INFINITY, &[f64::NEG_INFINITY, 1.0])],
            missing: vec![Missing { name: "mig".into(), why: "no factors".into() }],
            warnings: Vec::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Scores::read(dir.path()).unwrap(), None);
        scores.write(&mut Folder::open_unlocked(dir.path())).unwrap();
        assert_eq!(Scores::read(dir.path()).unwrap().unwrap(), scores);
        assert_eq!(scores.get("odd").unwrap().value, f64::INFINITY);
        std::fs::write(dir.path().join(FILE), "{}").unwrap();
        let error = Scores::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("evaluate the run again") && !error.contains('\n'), "{error}");
    }
}
