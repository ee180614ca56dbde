//! A report of a run, or of several beside each other, as one HTML file that needs nothing else.
//!
//! [`tell`] gathers what there is to tell of a run: its `metrics.jsonl`, `scores.json` and `timing.json`, its configuration, its
//! figures. `verdict` says what the numbers come to, `settings` what is unusual in the configuration, `chart` draws, and `page`
//! puts it all into `assets/report/`. A number on the page is written `<data value="…">`, with all its digits in `value`; the
//! numbers of all tables are in the page once more, as JSON (`<script type="application/json">`), called as in their files.

mod chart;
mod page;
mod settings;
mod verdict;

use serde::Serialize;
use serde_json::Value;
use vae_core::Result;
use vae_core::config::Config;
use vae_core::learn::Summary;
use vae_core::train::Epoch;
use vae_figures::gallery::{self, Drawing};
use vae_run::LoadedRun;
use vae_run::{Folder, Timings};
use vae_scores::{self as score, Scores};

use crate::console::{shell_quote, warn};

pub use chart::{Chart, Line, Point, Tick};
pub use page::page;
pub use settings::{Difference, Setting};
pub use verdict::{Used, Verdict};

/// The file that a run's own report is.
pub const FILE: &str = "report.html";

/// Samples, and test images at most, where a run was not evaluated before.
pub const IMAGES: usize = 1024;

/// What is told of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The name of its folder.
    pub name: String,
    /// The epoch whose weights were scored and drawn, counted from 1.
    pub epoch: usize,
    /// The command that repeats it.
    pub command: String,
    /// What the model is, in words.
    pub model: String,
    /// Its parameters.
    pub parameters: usize,
    /// What is minimised, in words.
    pub loss: String,
    /// Training, validation and test images.
    pub images: [usize; 3],
    /// What it comes to.
    pub verdict: Verdict,
    /// How many latents are used, if it has any.
    pub used: Option<Used>,
    /// Its configuration, what is unusual first.
    pub settings: Vec<Setting>,
    /// The lines of `metrics.jsonl`.
    pub metrics: Vec<Value>,
    /// `scores.json`.
    pub scores: Scores,
    /// `timing.json`, if there is one.
    pub timing: Option<Timings>,
    #[serde(skip)]
    config: Config,
    #[serde(skip)]
    history: Vec<Epoch>,
    #[serde(skip)]
    figures: Vec<Drawing>,
}

/// Gathers what there is to tell of a run. Scores that are in its folder are taken from there if they are of these weights
/// and, where `options` says so, of as many images; otherwise it is scored now, and they are kept. All figures are drawn of a run that is told of `alone`, a few of one among others.
///
/// # Errors
/// If a file of the run cannot be read, or the device fails.
pub fn tell(run: &LoadedRun, options: Option<&score::Options>, alone: bool) -> Result<Told> {
    let config = &run.predictor.config;
    let known = Scores::read(&run.path)?;
    let fits = |scores: &Scores| {
        scores.epoch == run.epoch
            && options.is_none_or(|options| scores.images == options.images && options.extractor.is_none())
    };
    let scores = match known.filter(fits) {
        Some(scores) => scores,
        None => {
            let usual = score::Options { images: IMAGES, extractor: None, inception: None };
            let scores = score::evaluate(run, options.unwrap_or(&usual))?;
            scores.warnings.iter().for_each(|words| warn(words));
            scores.write(&mut Folder::of_run(&run.path))?;
            scores
        }
    };
    let used = used(run);
    let path = run.path.display().to_string();
    let dataset = &run.dataset;
    Ok(Told {
        name: run.name.clone(),
        epoch: run.epoch,
        command: settings::command(config, &path),
        model: config.model.words(),
        parameters: Summary::new(config, &*run.predictor.model).parameters,
        loss: vae_core::config::describe_loss(config),
        images: [&dataset.train, &dataset.validation, &dataset.test].map(|split| split.count()),
        verdict: verdict::verdict(config, &run.history, run.epoch, used, &shell_quote(&path)),
        used,
        settings: settings::settings(config),
        metrics: run.history.iter().map(Epoch::json).collect(),
        scores,
        timing: Timings::read(&run.path)?,
        config: config.clone(),
        history: run.history.clone(),
        figures: if alone { gallery::standard(run)? } else { gallery::beside_others(run)? },
    })
}

/// Latents in use, by their KL on the validation images, if there are any.
fn used(run: &LoadedRun) -> Option<Used> {
    let per_dim = &run.history.get(run.epoch.checked_sub(1)?)?.validation.kl_per_dim;
    let active = per_dim.iter().filter(|&&kl| kl > verdict::UNUSED).count();
    (!per_dim.is_empty()).then_some(Used { active, of: per_dim.len() })
}

impl Told {
    /// The epoch that is told of.
    fn epoch(&self) -> Option<&Epoch> {
        self.history.get(self.epoch.checked_sub(1)?)
    }
}
