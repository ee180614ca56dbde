//! The options of `vae train`, and the configuration that they give.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueHint;
use clap_complete::Shell;
use vae_core::Error;
use vae_core::config::{Config, Settings};
use vae_core::recipe::{RECIPES, Recipe};

use crate::serve::Place;
use crate::session::RunOptions;

/// A test runs every line that starts with `  vae train`, with --dry-run.
const EXAMPLES: &str = "\
Examples:
  vae train                                              train on the digits inside the program, about a minute
  vae train --set model.z_dim=2 --set loss.beta=4        change keys of the recipe
  vae train --recipe beta-resnet18 --dry-run             check everything, show the layers, train nothing
  vae train --recipe beta-resnet18 --dry-run --json      the same for a program
  vae train --set data.kind=mnist --data-dir data        all of MNIST, from data/MNIST/raw/
  vae train --limit 512 --set train.epochs=1 --out look  a quick look, in a folder of your choice
  vae train --sweep loss.beta=0,1,2,4 --sweep model.z_dim=10,32 --out grid
                                                         eight runs, a table and curves; the same again goes on
  vae train --sweep loss.beta=1,4 --sweep seed=1,2,3 --score mse,frechet_distance --out seeds
                                                         mean ± standard deviation over seeds, with two test scores
  vae train --recipe runs/quickstart-20261121-120000/config.toml
                                                         repeat a run, number for number
  vae train --resume runs/quickstart-20261121-120000     go on with a run that was interrupted, bit for bit
  vae train --device gpu --tune                          find the fastest kernels for this GPU first; later runs use them too
  vae train --live                                       watch it in a browser: curves, pictures, log; --port names the port
  vae train --tensorboard --profile                      curves for tensorboard --logdir runs; at the end, where the time went
  run=$(vae train --quiet)                               the folder's name is all that is said
  source <(vae train --completions bash)                 Tab completes flags, recipes and keys in bash; also zsh, fish, elvish, powershell

Configuration: defaults < recipe < environment (VAE_MODEL_Z_DIM=8 is model.z_dim) < flags.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted. --dry-run fails if images or weights are missing.";

/// The examples as the program `train` shows them: without `vae`, and with comments in line as before.
pub(in crate::cli) fn short_name(examples: &str) -> String {
    let lines = examples.lines().map(|line| match line.strip_prefix("              ") {
        Some(_) => line[4..].to_owned(),
        None => line.replace("vae train", "train"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Trains a model, and writes its weights, metrics, pictures and report into a folder.
#[derive(Debug, clap::Args)]
#[command(version, after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// A recipe's name, or a TOML file such as a run's config.toml [default: quickstart]
    #[arg(long, value_name = "NAME|FILE", env = "VAE_RECIPE", hide_env = true, value_hint = ValueHint::FilePath)]
    pub(super) recipe: Option<String>,
    /// Continue the run in this folder from its last checkpoint, as if it had never stopped; threads, device and data folder
    /// may differ, and train.epochs may be larger
    #[arg(long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub(super) resume: Option<PathBuf>,
    /// Show the recipes that come with the program
    #[arg(long)]
    pub(super) list_recipes: bool,
    /// Set one key, for example model.z_dim=32; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train a grid of runs, one for each of these values of a key; may be given many times, for every combination; keys
    /// joined by + change together
    #[arg(long, value_name = "KEY=A,B,C")]
    pub(super) sweep: Vec<String>,
    /// With --sweep: train so many runs at the same time, each with its share of the threads [default: 1]
    #[arg(long, value_name = "N", requires = "sweep", conflicts_with_all = ["live", "profile"], value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) jobs: Option<u64>,
    /// With --sweep: test scores that get a column of the table, for example mse,frechet_distance; docs/scores.md has their names
    #[arg(long, value_name = "NAME,NAME", requires = "sweep", value_delimiter = ',')]
    pub(super) score: Vec<String>,
    /// The folder that holds the data files [default: data]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<String>,
    /// Fetch the data set's published files into that folder first, if they are not there
    #[arg(long)]
    pub(super) download: bool,
    /// The run's folder [default: runs/RECIPE-TIME]
    #[arg(long, value_name = "DIR", env = "VAE_OUT", hide_env = true, value_hint = ValueHint::DirPath)]
    pub(super) out: Option<PathBuf>,
    /// Seed of all random numbers
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// Where to compute: auto, cpu or gpu
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// With --device gpu: first time several ways to cut matrix products on the GPU, and remember the fastest for later runs
    #[arg(long, conflicts_with = "sweep")]
    pub(super) tune: bool,
    /// Train on the first N images only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<u64>,
    /// Threads to compute with [default: one a core]; the numbers do not depend on it
    #[arg(long, value_name = "N", env = "VAE_THREADS", hide_env = true, value_parser = at_least_one)]
    pub(super) threads: Option<u64>,
    /// Start from the weights of a checkpoint of the same model
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) init: Option<String>,
    /// Start the encoder from a checkpoint of a classifier, of a VAE, or with torchvision's names
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) init_encoder: Option<String>,
    /// Serve a page on 127.0.0.1 that shows the run while it trains, and open it if there is a display
    #[arg(long, conflicts_with = "sweep")]
    pub(super) live: bool,
    #[command(flatten)]
    pub(super) page: Place,
    /// Write curves and pictures for TensorBoard, in the run's folder
    #[arg(long)]
    tensorboard: bool,
    /// Print a table of times at the end, from the run's timing.json
    #[arg(long)]
    profile: bool,
    /// Write no report.html when the run has ended; the runs of a sweep have none of their own
    #[arg(long)]
    no_report: bool,
    /// With --resume, or a sweep that continues: go on although the images have changed
    #[arg(long)]
    allow_changed_data: bool,
    /// Print only the run's folder at the end, and on stderr warnings, errors and the address of --live
    #[arg(long, conflicts_with_all = ["profile", "list_recipes", "json"])]
    pub(super) quiet: bool,
    /// Print a script by which a shell completes this command, and do nothing else
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub(in crate::cli) completions: Option<Shell>,
    /// Check everything and show what would be done, but train nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With --dry-run: one JSON object
    #[arg(long, requires = "dry_run")]
    pub(super) json: bool,
}

impl Args {
    /// What a run does besides training; the runs of a sweep have one report together, their table.
    pub(super) fn run_options(&self) -> RunOptions {
        RunOptions {
            report: !self.no_report && self.sweep.is_empty(),
            profile: self.profile,
            tensorboard: self.tensorboard,
            allow_changed_data: self.allow_changed_data,
            live: self.live.then_some(self.page),
        }
    }

    /// The configuration: recipe, environment, --set in order, then the flags with names of their own.
    pub(super) fn config(&self) -> Result<Config> {
        Ok(self.settings()?.resolve()?)
    }

    /// All of the settings, before they are resolved.
    pub(super) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::default();
        let (text, source) = self.recipe_text()?;
        settings.file(&text, &source)?;
        self.apply_to(&mut settings)?;
        Ok(settings)
    }

    /// What the environment and the flags say, over what a file said.
    pub(super) fn apply_to(&self, settings: &mut Settings) -> Result<()> {
        settings.environment(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )?;
        self.set.iter().try_for_each(|assignment| settings.assignment(assignment))?;
        let limit = self.limit.map(|limit| limit.to_string());
        for (key, value, flag) in [
            ("data.dir", &self.data_dir, "--data-dir"),
            ("model.init", &self.init, "--init"),
            ("model.init_encoder", &self.init_encoder, "--init-encoder"),
            ("seed", &self.seed, "--seed"),
            ("device", &self.device, "--device"),
            ("data.limit", &limit, "--limit"),
        ] {
            if let Some(value) = value {
                settings.flag(key, value, flag)?;
            }
        }
        Ok(())
    }

    fn recipe_text(&self) -> Result<(String, String)> {
        let Some(name) = &self.recipe else {
            return Ok((RECIPES[0].toml.to_owned(), RECIPES[0].name.to_owned()));
        };
        if let Some(recipe) = Recipe::named(name) {
            return Ok((recipe.toml.to_owned(), recipe.name.to_owned()));
        }
        let is_path = name.contains(['/', '\\']) || name.ends_with(".toml");
        match read_text(name) {
            Ok(text) => Ok((text, name.clone())),
            Err(error) if is_path => Err(Error::config(format!("--recipe {name}: cannot be read: {error}")).into()),
            Err(_) => {
                let names: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
                Err(Error::config(format!(
                    "--recipe {name}: there is no such recipe; the recipes are {}; or give a file",
                    names.join(", ")
                ))
                .into())
            }
        }
    }
}

/// A file's text, up to a size that no configuration has.
pub(super) fn read_text(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(1 << 20).read_to_string(&mut text)?;
    Ok(text)
}

fn at_least_one(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|&number| number >= 1).ok_or("it must be a whole number, at least 1".to_owned())
}
