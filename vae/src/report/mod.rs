//! A report of one run, or of several for comparison, as one HTML file without dependencies.
//!
//! [`collect`] gathers the contents from a run: `metrics.jsonl`, `scores.json` and `timing.json`, the configuration, and the
//! figures. `verdict` summarises the numbers in a sentence, `settings` lists what differs from the recipe, `chart` draws, and
//! `page` fills the template in `assets/report/`. A number on the page is written `<data value="…">`, with all its digits in
//! `value`. The page also contains the numbers of all tables as JSON (`<script type="application/json">`), under the same names
//! as in the files.

mod chart;
mod page;
mod scores;
mod settings;
mod table;
mod verdict;

use serde::Serialize;
use serde_json::Value;
use vae_core::Result;
use vae_core::config::Config;
use vae_core::data::mean_image_mse;
use vae_core::learn::Summary;
use vae_core::predict::IN_USE;
use vae_core::train::Epoch;
use vae_figures::gallery::{self, Drawing};
use vae_figures::map;
use vae_run::loaded::describe_weights;
use vae_run::{Folder, LoadedRun, Timings};
use vae_scores::{self as score, Scores};

use crate::console::{shell_quote, warn};

pub use chart::{Chart, Line, Point, Tick};
pub use page::page;
pub use scores::first_scores;
pub use settings::{Difference, Setting};
pub use verdict::{Used, Verdict};

/// The name of the report in a run's folder.
pub const FILE: &str = "report.html";

/// The number of samples, and the largest number of test images, for a run that has not been evaluated.
pub const IMAGES: usize = 1024;

/// The contents of a report on one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// The name of its folder.
    pub name: String,
    /// The epoch of the weights that were scored and drawn, counted from 1.
    pub epoch: usize,
    /// Words for these weights, such as `epoch 3`.
    pub weights: String,
    /// The command that repeats the run.
    pub command: String,
    /// A description of the model.
    pub model: String,
    /// The number of parameters.
    pub parameters: usize,
    /// A description of the loss.
    pub loss: String,
    /// The numbers of training, validation and test images.
    pub images: [usize; 3],
    /// The summary.
    pub verdict: Verdict,
    /// The number of latents in use, if the model has latents.
    pub used: Option<Used>,
    /// The configuration; keys that differ from the recipe come first.
    pub settings: Vec<Setting>,
    /// The lines of `metrics.jsonl`.
    pub metrics: Vec<Value>,
    /// `scores.json`.
    pub scores: Scores,
    /// `timing.json`, if the file exists.
    pub timing: Option<Timings>,
    #[serde(skip)]
    config: Config,
    #[serde(skip)]
    history: Vec<Epoch>,
    #[serde(skip)]
    figures: Vec<Drawing>,
    /// The map of two latents after some of the epochs, as PNGs.
    #[serde(skip)]
    map: Vec<(usize, Vec<u8>)>,
}

/// Collects the contents of a report. Scores in the run's folder are used if they are of the same weights and prior and, if `options`
/// is given, of the same number of images; otherwise the run is scored now and the scores are saved, if its folder can be written. With `alone`, all figures are
/// drawn, otherwise the few that a comparison shows.
///
/// # Errors
/// If a file of the run cannot be read, or the device fails.
pub fn collect(run: &LoadedRun, options: Option<&score::Options>, alone: bool) -> Result<RunReport> {
    let config = &run.predictor.config;
    let known = Scores::read(&run.path)?;
    let fits = |scores: &Scores| {
        // Files of earlier versions lack the error of the mean image, and the caveats of scores.
        let current = scores.get("mse").is_none() || scores.get("r2").is_some();
        current
            && scores.epoch == run.epoch
            && scores.fitted_prior == score::fitted_prior(run)
            && options.is_none_or(|options| scores.images == options.images && options.extractor.is_none())
    };
    let scores = match known.filter(fits) {
        Some(scores) => scores,
        None => {
            let usual =
                score::Options { images: IMAGES, extractor: None, inception: None, ..score::Options::default() };
            let scores = score::evaluate(run, options.unwrap_or(&usual))?;
            scores.warnings.iter().for_each(|words| warn(words));
            if let Err(error) = scores.write(&mut Folder::open_unlocked(&run.path)) {
                warn(&format!("{error}; the scores are in the report only"));
            }
            scores
        }
    };
    let (used, mean_image) = (used(run), mean_image(run)?);
    let measured = verdict::Measured { used, mean_image };
    let path = run.path.display().to_string();
    let dataset = run.dataset()?;
    Ok(RunReport {
        name: run.name.clone(),
        epoch: run.epoch,
        weights: describe_weights(run.epoch, run.steps),
        command: settings::command(config, &path),
        model: config.model.words(),
        parameters: Summary::new(config, &*run.predictor.model).parameters,
        loss: vae_core::config::describe_loss(config),
        images: [&dataset.train, &dataset.validation, &dataset.test].map(|split| split.count()),
        verdict: verdict::verdict(config, &run.history, run.epoch, measured, &shell_quote(&path)),
        used,
        settings: settings::settings(config),
        metrics: run.history.iter().map(Epoch::json).collect(),
        scores,
        timing: Timings::read(&run.path)?,
        config: config.clone(),
        history: run.history.clone(),
        figures: if alone { gallery::standard(run)? } else { gallery::comparison(run)? },
        map: if alone { map::of_run(&run.path) } else { Vec::new() },
    })
}

/// The latents in use, by their KL on the validation images; `None` if the model has no latents.
fn used(run: &LoadedRun) -> Option<Used> {
    let validation = &run.history.get(run.epoch.checked_sub(1)?)?.validation;
    let of = validation.kl_per_dim.len();
    (of > 0).then(|| Used { active: validation.latents_in_use(), of, above: IN_USE })
}

/// The error of always answering with the mean training image, on the validation images. NaN for a model that does not reconstruct.
fn mean_image(run: &LoadedRun) -> Result<f64> {
    let epoch = run.epoch.checked_sub(1).and_then(|place| run.history.get(place));
    if epoch.is_none_or(|epoch| epoch.validation.mse.is_none()) {
        return Ok(f64::NAN);
    }
    let (transform, dataset) = (&run.predictor.transform, run.dataset()?);
    let split = &dataset.validation;
    mean_image_mse(transform, &dataset.train, split, &split.first(usize::MAX))
}

impl RunReport {
    /// The reported epoch.
    fn epoch(&self) -> Option<&Epoch> {
        self.history.get(self.epoch.checked_sub(1)?)
    }
}
