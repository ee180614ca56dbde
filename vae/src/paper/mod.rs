//! The runs, tables and figures of the five papers: a TOML file each in `vae/papers/`, and `--quick` variants that take
//! minutes instead of days.
//!
//! ```text
//! title = "…"                        the paper's
//! extractor = "classifier"           the run whose features the Fréchet distance compares; else the one inside the program
//! [quick]
//! stand_in = "…"                     what --quick takes instead of the paper's images
//! [[runs]]                           a recipe, or a grid of it; several may share a name and be one grid
//! name, recipe, set, sweep           as train's --recipe, --set and --sweep have them
//! encoder = "classifier"             the run whose encoder it begins with
//! speed = 195                        images/s that it trains on two cores, measured
//! images = 12_000                    training images, where only the files tell
//! [runs.quick]                       what is different with --quick: recipe, more of set, speed; without it the run is left out
//! [[tables]]                         title, columns (quantities), rows = [{ run, printed, corrected }]
//! [[figures]]                        of, draw (a figure's name), runs, together = true for one picture of all
//! ```
//!
//! A run is called by its name and the values of its sweep, `random,beta=0,z_dim=128`; its folder has the seed behind that.

pub mod claims;
pub mod results;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use vae_core::config::{Config, Settings};
use vae_core::recipe::Recipe;
use vae_core::{Error, Result};
use vae_run::BEST;

use crate::session::points::{Point, points};

/// Their names and files, in the order of the project.
pub const PAPERS: [(&str, &str); 5] = [
    ("transfer", include_str!("../../papers/transfer.toml")),
    ("tc", include_str!("../../papers/tc.toml")),
    ("mnist", include_str!("../../papers/mnist.toml")),
    ("residual", include_str!("../../papers/residual.toml")),
    ("pegasus", include_str!("../../papers/pegasus.toml")),
];

/// A paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// What `vae paper` calls it.
    #[serde(skip)]
    pub name: String,
    /// Its title.
    pub title: String,
    /// The run whose features the Fréchet distance compares.
    pub extractor: Option<String>,
    quick: Option<QuickPaper>,
    runs: Vec<Block>,
    /// Its tables.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Its figures.
    #[serde(default)]
    pub figures: Vec<Figure>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuickPaper {
    stand_in: String,
}

/// Runs of one recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    name: String,
    recipe: String,
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    sweep: Vec<String>,
    encoder: Option<String>,
    speed: f64,
    images: Option<usize>,
    quick: Option<QuickBlock>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuickBlock {
    recipe: Option<String>,
    #[serde(default)]
    set: Vec<String>,
    speed: f64,
}

/// A table of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// The quantities, as claims call them.
    pub columns: Vec<String>,
    /// The runs.
    pub rows: Vec<Row>,
}

/// A run in a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name, without the seed.
    pub run: String,
    /// What the paper printed, by quantity.
    #[serde(default)]
    pub printed: BTreeMap<String, f64>,
    /// What it should have printed.
    #[serde(default)]
    pub corrected: BTreeMap<String, f64>,
}

/// A figure of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// Which, and what it shows.
    pub of: String,
    /// What `vae draw` calls ours.
    pub draw: String,
    /// Of which runs.
    pub runs: Vec<String>,
    /// Whether one picture shows them all.
    #[serde(default)]
    pub together: bool,
}

/// What is asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The small variant.
    pub quick: bool,
    /// The seeds, every run with each.
    pub seeds: Vec<u64>,
    /// Settings of every run: key, value, and the flag that said so.
    pub settings: Vec<(String, String, &'static str)>,
    /// Assignments `key=value` laid over every run.
    pub set: Vec<String>,
}

/// A run of a paper with one seed.
pub struct Planned {
    /// Its name, without the seed.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// What it is, and where its folder is.
    pub point: Point,
    /// The folder of the run whose encoder it begins with, by its name.
    pub encoder: Option<String>,
    /// Seconds of training on two cores, by the speed that was measured; none where only the files say how much there is.
    pub seconds: Option<f64>,
}

/// The error of a TOML file inside the program.
pub(crate) fn not_toml(name: &str, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    Error::config(format!("{name}, line {line}: {}", error.message().split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// The folder of a run, by its name and seed.
pub fn folder(run: &str, seed: u64) -> String {
    format!("{run},seed={seed}")
}

impl Paper {
    /// The paper of this name.
    ///
    /// # Errors
    /// If there is none, or its file was changed to what cannot be.
    pub fn named(name: &str) -> Result<Paper> {
        let Some((name, text)) = PAPERS.iter().find(|(known, _)| *known == name) else {
            let names = PAPERS.map(|(name, _)| name).join(", ");
            return Err(Error::config(format!("{name}: there is no such paper; the papers are {names}")));
        };
        let mut paper: Paper =
            toml::from_str(text).map_err(|error| not_toml(&format!("papers/{name}.toml"), text, &error))?;
        paper.name = (*name).to_owned();
        Ok(paper)
    }

    /// What `--quick` takes instead of the paper's images, if it does.
    pub fn stand_in(&self) -> Option<&str> {
        self.quick.as_ref().map(|quick| quick.stand_in.as_str())
    }

    /// Every run that was asked for, in an order in which encoders come before those who begin with them. Their folders will
    /// lie in `out`.
    ///
    /// # Errors
    /// If a configuration cannot be trained.
    pub fn plan(&self, asked: &Asked, out: &Path) -> Result<Vec<Planned>> {
        let mut plan = Vec::new();
        for block in &self.runs {
            let quick = block.quick.as_ref().filter(|_| asked.quick);
            if asked.quick && quick.is_none() {
                continue;
            }
            for &seed in &asked.seeds {
                plan.extend(block.planned(quick, seed, asked, out)?);
            }
        }
        Ok(plan)
    }
}

impl Block {
    fn planned(&self, quick: Option<&QuickBlock>, seed: u64, asked: &Asked, out: &Path) -> Result<Vec<Planned>> {
        let recipe = quick.and_then(|quick| quick.recipe.as_ref()).unwrap_or(&self.recipe);
        let recipe = Recipe::named(recipe)
            .ok_or_else(|| Error::config(format!("{}: there is no recipe {recipe}", self.name)))?;
        let mut settings = Settings::default();
        settings.file(recipe.toml, recipe.name)?;
        let set = self.set.iter().chain(quick.iter().flat_map(|quick| &quick.set)).chain(&asked.set);
        set.into_iter().try_for_each(|assignment| settings.assignment(assignment))?;
        for (key, value, flag) in &asked.settings {
            settings.flag(key, value, flag)?;
        }
        settings.flag("seed", &seed.to_string(), "--seeds")?;
        let encoder = self.encoder.as_ref().map(|run| folder(run, seed));
        if let Some(encoder) = &encoder {
            let file = out.join(encoder).join(BEST);
            settings.flag("model.init_encoder", &file.display().to_string(), "paper")?;
        }
        let of = |mut point: Point| {
            let run = match point.name.as_str() {
                "" => self.name.clone(),
                values => format!("{},{values}", self.name),
            };
            point.name = folder(&run, seed);
            point.config.check().map_err(|error| Error::config(format!("{run}: {error}")))?;
            let speed = quick.map_or(self.speed, |quick| quick.speed);
            let seconds = images(&point.config, self.images).map(|images| images / speed);
            Ok(Planned { run, seed, point, encoder: encoder.clone(), seconds })
        };
        match self.sweep.is_empty() {
            true => {
                let alone = Point { name: String::new(), settings: Vec::new(), config: settings.resolve()? };
                Ok(vec![of(alone)?])
            }
            false => points(&self.sweep, &settings)?.into_iter().map(of).collect(),
        }
    }
}

/// Images that a run goes through in all its epochs; a validation image, forward alone, counts for a quarter.
fn images(config: &Config, told: Option<usize>) -> Option<f64> {
    let limited = |images: usize| if config.data.limit == 0 { images } else { images.min(config.data.limit) };
    let (train, validation) = match config.split() {
        Some([_, validation, _]) => (config.train_images()?, validation),
        None => (limited(told?), told? / 10),
    };
    Some(config.train.epochs as f64 * (train as f64 + 0.25 * validation as f64))
}

impl Planned {
    /// What keeps it from running, in a line: images that are not there, or an encoder.
    pub fn missing(&self) -> Option<String> {
        let file = Path::new(&self.point.config.model.init_encoder);
        let lacks = self.encoder.as_ref().filter(|_| !file.exists());
        let told = |encoder| format!("the encoder that it starts from is missing: {encoder}");
        self.missing_images().or_else(|| lacks.map(told))
    }

    /// That its images are not there, in a line.
    pub fn missing_images(&self) -> Option<String> {
        let config = &self.point.config;
        if vae_data::is_there(config) {
            return None;
        }
        let why = vae_data::load(config).err()?;
        Some(format!("the images of {} are missing: {why}", config.data.kind))
    }
}
