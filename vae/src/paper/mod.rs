//! The runs, tables and figures of the five papers, one TOML file each in `vae/papers/`, and of three comparisons of our own. The `--quick`
//! variants take minutes instead of days.
//!
//! ```text
//! title = "…"                        the title of the paper
//! text = "…"                         for a comparison: what its runs have in common
//! extractor = "classifier"           the run whose features the Fréchet distance uses; default: the built-in extractor
//! [quick]
//! stand_in = "…"                     the data set that --quick uses instead of the paper's
//! [stand_in]
//! stand_in = "…"                     the data set of runs whose images are missing
//! [[runs]]                           a recipe, or a grid of it; blocks of the same name form one grid
//! name, recipe, set, sweep           the values of the flags --recipe, --set and --sweep
//! encoder = "classifier"             the run whose encoder it starts from
//! speed = 195                        training speed on two cores, measured, in images/s
//! images = 12_000                    training images, if the number is known only from the files
//! [runs.quick]                       changes for --quick: recipe, more of set, speed; without this table --quick leaves the run out
//! [runs.stand_in]                    changes for the runs whose images are missing, as for --quick
//! [[printed]]                        each table and figure of the paper, in its order: of, shows, and claims, a figure of
//!                                    ours, a table of ours, or none, the reason why there is nothing to compare
//! [[tables]]                         title, columns (quantities), rows = [{ run, printed, corrected }]; with mean = true one row for
//!                                    all seeds, its command, and further columns in heads and the rows' words
//! [[figures]]                        of, draw (a figure's name), runs, together = true for one figure of all runs: `curves`, or
//!                                    `trade-off`, whose `against` names the quantities across and up
//! ```
//!
//! A run's name is the block's name and the values of its sweep, `random,beta=0,z_dim=128`. The name of its folder ends with
//! the seed.

pub mod budget;
pub mod claims;
pub mod printed;
pub mod results;
pub mod scale;
pub mod settle;
pub mod state;
pub mod tradeoff;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use vae_core::config::{Config, Settings};
use vae_core::recipe::Recipe;
use vae_core::{Error, Result};
use vae_run::BEST;

use crate::console::shell_quote;
use crate::session::points::{Point, points};
use scale::Scale;

/// The names and files of the papers, in the order of the project.
pub const PAPERS: [(&str, &str); 5] = [
    ("transfer", include_str!("../../papers/transfer.toml")),
    ("tc", include_str!("../../papers/tc.toml")),
    ("mnist", include_str!("../../papers/mnist.toml")),
    ("residual", include_str!("../../papers/residual.toml")),
    ("pegasus", include_str!("../../papers/pegasus.toml")),
];

/// Comparisons that no paper prints. They have tables and no claims.
pub const COMPARISONS: [(&str, &str); 3] = [
    ("models", include_str!("../../papers/models.toml")),
    ("disentanglement", include_str!("../../papers/disentanglement.toml")),
    ("recipes", include_str!("../../papers/recipes.toml")),
];

/// All that [`Paper::named`] knows: the papers, then the comparisons.
pub fn known() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    PAPERS.iter().chain(&COMPARISONS)
}

/// A paper, or a comparison.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// The name for `vae paper`.
    #[serde(skip)]
    pub name: String,
    /// The title of the paper.
    pub title: String,
    /// What the runs of a comparison have in common; papers have none.
    pub text: Option<String>,
    /// The run whose features are used for the Fréchet distance.
    pub extractor: Option<String>,
    quick: Option<OtherImages>,
    stand_in: Option<OtherImages>,
    runs: Vec<Block>,
    /// What the paper prints; empty for a comparison.
    #[serde(default)]
    pub printed: Vec<printed::Printed>,
    /// Its tables.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Its figures.
    #[serde(default)]
    pub figures: Vec<Figure>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherImages {
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
    quick: Option<Variant>,
    stand_in: Option<Variant>,
}

/// Changes to a block.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    recipe: Option<String>,
    #[serde(default)]
    set: Vec<String>,
    speed: f64,
}

/// A table of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The heading.
    pub title: String,
    /// The quantities, by the names that claims use.
    pub columns: Vec<String>,
    /// Whether a row has the mean and the standard deviation over seeds, and not the values of one seed.
    #[serde(default)]
    pub mean: bool,
    /// The titles of the columns of words, before those of the quantities.
    #[serde(default)]
    pub heads: Vec<String>,
    /// The runs.
    pub rows: Vec<Row>,
}

/// A run in a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name of the run, without the seed.
    pub run: String,
    /// The cells of the columns of words.
    #[serde(default)]
    pub words: Vec<String>,
    /// The values that the paper printed, by quantity.
    #[serde(default)]
    pub printed: BTreeMap<String, f64>,
    /// The correct values, if the paper printed wrong ones.
    #[serde(default)]
    pub corrected: BTreeMap<String, f64>,
}

/// A figure of the paper.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The number of the figure and its subject.
    pub of: String,
    /// The name of the figure for `vae draw`.
    pub draw: String,
    /// The runs in the figure.
    pub runs: Vec<String>,
    /// Whether one figure shows all runs together: the curves of their losses, or a trade-off.
    #[serde(default)]
    pub together: bool,
    /// The quantities of a trade-off: that across, and those up.
    #[serde(default)]
    pub against: Vec<String>,
}

/// `draw` of a figure that compares quantities of runs.
const TRADE_OFF: &str = "trade-off";

/// The options of the command line.
#[derive(Clone, Debug, Default)]
pub struct PaperOptions {
    /// Whether to run the small variant.
    pub quick: bool,
    /// The seeds. Every run is repeated with each.
    pub seeds: Vec<u64>,
    /// Settings for every run: key, value, and the flag that set them.
    pub settings: Vec<(String, String, &'static str)>,
    /// Assignments `key=value` that apply to every run.
    pub set: Vec<String>,
    /// The beginnings of the names of the runs that are trained now; empty for all.
    pub only: Vec<String>,
    /// The shares of the paper's epochs and channels.
    pub scale: Scale,
    /// Whether runs use the images that stand in for the paper's.
    pub stand_in: bool,
}

impl PaperOptions {
    /// The command with these options.
    pub fn command(&self, paper: &str) -> String {
        let quick = if self.quick { " --quick" } else { "" };
        let stand_in = if self.stand_in { " --stand-in" } else { "" };
        let scale = match self.scale == Scale::default() {
            true => String::new(),
            false => format!(" --epochs {} --width {}", self.scale.epochs, self.scale.width),
        };
        let seeds = self.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let given = |flag: &str, values: &[String]| -> String {
            values.iter().map(|value| format!(" {flag} {}", shell_quote(value))).collect()
        };
        let (only, set) = (given("--only", &self.only), given("--set", &self.set));
        format!("vae paper {paper}{quick}{stand_in}{scale} --seeds {seeds}{only}{set}")
    }
}

/// A run of a paper with one seed.
pub struct PlannedRun {
    /// The name, without the seed.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// The configuration and the folder.
    pub point: Point,
    /// The folder of the run whose encoder it starts from.
    pub encoder: Option<String>,
    /// The training images of the paper's run, if only the files tell them.
    pub images: Option<usize>,
    /// The estimated training time in seconds on two cores, from the measured speed; `None` if the number of images is known
    /// only from the files.
    pub seconds: Option<f64>,
}

/// The error that a TOML file inside the program is invalid.
pub(crate) fn not_toml(name: &str, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    Error::config(format!("{name}, line {line}: {}", error.message().split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// The folder of a run, by its name and seed.
pub fn folder(run: &str, seed: u64) -> String {
    format!("{run},seed={seed}")
}

impl Paper {
    /// Returns the paper of this name.
    ///
    /// # Errors
    /// If there is no such paper, or its file is invalid.
    pub fn named(name: &str) -> Result<Paper> {
        let Some((name, text)) = known().find(|(known, _)| *known == name) else {
            let names = PAPERS.map(|(name, _)| name).join(", ");
            let others = COMPARISONS.map(|(name, _)| name).join(", ");
            let words = format!("{name}: there is no such paper; the papers are {names}, and the comparisons {others}");
            return Err(Error::config(words));
        };
        let mut paper: Paper =
            toml::from_str(text).map_err(|error| not_toml(&format!("papers/{name}.toml"), text, &error))?;
        paper.name = (*name).to_owned();
        Ok(paper)
    }

    /// Returns whether a table or a claim has a score.
    ///
    /// # Errors
    /// As [`of_paper`](claims::of_paper).
    pub fn needs_scores(&self) -> Result<bool> {
        let claims = claims::of_paper(&self.name)?;
        let of_claims = claims.iter().flat_map(|claim| [Some(&claim.quantity), claim.minus.as_ref()]).flatten();
        let mut quantities = self.tables.iter().flat_map(|table| &table.columns).chain(of_claims);
        Ok(quantities.any(|quantity| claims::is_score(quantity)))
    }

    /// The command that trains a run by itself with the first seed; `None` if it is one of a sweep.
    pub fn command(&self, run: &str) -> Option<String> {
        let block = self.runs.iter().find(|block| block.name == run && block.sweep.is_empty())?;
        let set: String = block.set.iter().map(|set| format!(" --set {}", shell_quote(set))).collect();
        Some(format!("vae train --recipe {}{set}", block.recipe))
    }

    /// The data set that is used instead of the paper's, if any.
    pub fn stand_in(&self, asked: &PaperOptions) -> Option<&str> {
        let other = match asked.quick {
            true => self.quick.as_ref(),
            false => self.stand_in.as_ref().filter(|_| asked.stand_in),
        };
        other.map(|other| other.stand_in.as_str())
    }

    /// Whether other images can stand in for the paper's.
    pub fn has_stand_in(&self) -> bool {
        self.stand_in.is_some()
    }

    /// Returns the requested runs. Runs whose encoders others start from come before those. `out` is the folder of all runs.
    ///
    /// # Errors
    /// If a configuration is invalid.
    pub fn plan(&self, asked: &PaperOptions, out: &Path) -> Result<Vec<PlannedRun>> {
        let mut plan = Vec::new();
        for block in &self.runs {
            if asked.quick && block.quick.is_none() {
                continue;
            }
            let variant = match asked.quick {
                true => block.quick.as_ref(),
                false => block.stand_in.as_ref().filter(|_| asked.stand_in),
            };
            for &seed in &asked.seeds {
                plan.extend(block.planned(variant, seed, asked, out)?);
            }
        }
        Ok(plan)
    }
}

impl Block {
    fn planned(
        &self,
        variant: Option<&Variant>,
        seed: u64,
        asked: &PaperOptions,
        out: &Path,
    ) -> Result<Vec<PlannedRun>> {
        let recipe = variant.and_then(|variant| variant.recipe.as_ref()).unwrap_or(&self.recipe);
        let recipe = Recipe::named(recipe)
            .ok_or_else(|| Error::config(format!("{}: there is no recipe {recipe}", self.name)))?;
        let mut settings = Settings::default();
        settings.file(recipe.toml, recipe.name)?;
        let set = self.set.iter().chain(variant.iter().flat_map(|variant| &variant.set)).chain(&asked.set);
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
            let wide = point.config.clone();
            asked.scale.apply(&mut point.config);
            point.config.check().map_err(|error| Error::config(format!("{run}: {error}")))?;
            let speed = variant.map_or(self.speed, |variant| variant.speed);
            let share = scale::share_of_time(&point.config, &wide);
            let seconds = images(&point.config, self.images).map(|images| images * share / speed);
            Ok(PlannedRun { run, seed, point, encoder: encoder.clone(), images: self.images, seconds })
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

/// The images that a run processes in all its epochs. A validation image counts for a quarter, because it has no backward pass.
fn images(config: &Config, told: Option<usize>) -> Option<f64> {
    let limited = |images: usize| if config.data.limit == 0 { images } else { images.min(config.data.limit) };
    let (train, validation) = match config.split() {
        Some([_, validation, _]) => (config.train_images()?, validation),
        None => (limited(told?), told? / 10),
    };
    Some(config.train.epochs as f64 * (train as f64 + 0.25 * validation as f64))
}

impl PlannedRun {
    /// Returns what keeps the run from starting, in one line: missing images or a missing encoder.
    pub fn missing(&self) -> Option<String> {
        let file = Path::new(&self.point.config.model.init_encoder);
        let lacks = self.encoder.as_ref().filter(|_| !file.exists());
        let told = |encoder| format!("the encoder that it starts from is missing: {encoder}");
        self.missing_images().or_else(|| lacks.map(told))
    }

    /// Returns which images are missing, in one line.
    pub fn missing_images(&self) -> Option<String> {
        let config = &self.point.config;
        if vae_data::files_exist(config) {
            return None;
        }
        let why = vae_data::load(config).err()?;
        Some(format!("the images of {} are missing: {why}", config.data.kind))
    }
}
