//! The options of every command that loads trained runs, and the loading.

use std::path::{Path, PathBuf};

use clap::Args;
use vae_core::config::{Config, PriorKind, Settings};
use vae_core::{Error, Result};
use vae_run::LoadedRun;
use vae_run::loaded;

use crate::console::warn;
use crate::demo;
use crate::device::{self, Chosen};
use crate::session::Ranks;

/// Where the images of a trained run are, and what to compute on.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct LoadOptions {
    /// The folder that holds the data files [default: the run's]
    #[arg(long, value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    pub(super) data_dir: Option<String>,
    /// Where to compute: auto, cpu or gpu [default: as the run]
    #[arg(long, value_name = "DEVICE", global = true)]
    pub(super) device: Option<String>,
    /// Threads to compute with [default: one a core]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) threads: Option<u64>,
}

impl LoadOptions {
    /// Loads one run.
    ///
    /// # Errors
    /// If it cannot be loaded; see [`loaded::open`].
    pub(super) fn load(&self, run: &Path) -> Result<LoadedRun> {
        self.load_on(run, &Ranks::alone())
    }

    /// Loads one run in one of several processes, which will compute together.
    ///
    /// # Errors
    /// As [`LoadOptions::load`].
    pub(super) fn load_on(&self, run: &Path, ranks: &Ranks) -> Result<LoadedRun> {
        let (chosen, mut configs) = self.configs_on(&[run], ranks)?;
        ranks.reads_images();
        let mut opened = open(run, configs.remove(0), &chosen)?;
        opened.name = loaded::distinct_names(&[run]).remove(0);
        opened.predictor.ranks = ranks.communicator.clone();
        Ok(opened)
    }

    /// Loads runs, all on one device: the device of the first run, unless `--device` names another.
    ///
    /// # Errors
    /// If one of them cannot be loaded; see [`loaded::open`].
    pub(super) fn load_all<P: AsRef<Path>>(&self, runs: &[P]) -> Result<(Chosen, Vec<LoadedRun>)> {
        let (chosen, configs) = self.configs(runs)?;
        let opened = runs.iter().zip(configs).map(|(run, config)| open(run.as_ref(), config, &chosen));
        let mut opened = opened.collect::<Result<Vec<_>>>()?;
        opened.iter_mut().zip(loaded::distinct_names(runs)).for_each(|(run, name)| run.name = name);
        Ok((chosen, opened))
    }

    /// Loads a model inside the program.
    ///
    /// # Errors
    /// If the device is not available.
    fn load_demo(&self, name: &str) -> Result<LoadedRun> {
        let mut settings = Settings::default();
        self.device.iter().try_for_each(|value| settings.flag("device", value, "--device"))?;
        let chosen = device::choose(settings.resolve()?.device, device::start_threads(self.threads)?)?;
        demo::load(name, self.data_dir.as_deref(), chosen.device)
    }

    /// The device and the configurations of runs, for commands that load them one after the other.
    ///
    /// # Errors
    /// If one of the folders holds no run, or the device is not available.
    pub(super) fn configs<P: AsRef<Path>>(&self, runs: &[P]) -> Result<(Chosen, Vec<Config>)> {
        self.configs_on(runs, &Ranks::alone())
    }

    fn configs_on<P: AsRef<Path>>(&self, runs: &[P], ranks: &Ranks) -> Result<(Chosen, Vec<Config>)> {
        let flags =
            [("data.dir", self.data_dir.as_deref(), "--data-dir"), ("device", self.device.as_deref(), "--device")];
        let configs = runs.iter().map(|run| loaded::configuration(run.as_ref(), &flags)).collect::<Result<Vec<_>>>()?;
        let choice = configs.first().ok_or_else(|| Error::config("name the folder of a run"))?.device;
        let threads = device::start_threads(self.threads.or(ranks.threads))?;
        Ok((device::choose_at(choice, threads, ranks.place)?, configs))
    }
}

/// A run, or one of the trained models inside the program.
#[derive(Clone, Debug, Args)]
pub(super) struct RunOrDemo {
    /// The folder of the run
    #[arg(required_unless_present = "demo", conflicts_with = "demo")]
    pub(super) run: Option<PathBuf>,
    /// A trained model inside the program instead of a run: digits-2, digits-16 or cifar10
    #[arg(long, value_name = "MODEL", num_args = 0..=1, default_missing_value = demo::NAMES[0], value_parser = demo::NAMES)]
    demo: Option<String>,
}

impl RunOrDemo {
    /// Loads it.
    ///
    /// # Errors
    /// As [`LoadOptions::load`].
    pub(super) fn load(&self, options: &LoadOptions) -> Result<LoadedRun> {
        match (&self.run, &self.demo) {
            (Some(run), _) => options.load(run),
            (None, demo) => options.load_demo(demo.as_deref().unwrap_or(demo::NAMES[0])),
        }
    }
}

/// The prior that samples are drawn from.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PriorOption {
    /// Draw samples from this prior: standard, or one that vae fit-prior fitted [default: for codes the fitted one, else standard]
    #[arg(long, value_name = "PRIOR", global = true, value_parser = prior_kind)]
    prior: Option<PriorKind>,
}

impl PriorOption {
    /// Draws the samples of a run from the prior that was asked for.
    ///
    /// # Errors
    /// As [`LoadedRun::use_prior`].
    pub(super) fn apply(&self, run: &mut LoadedRun) -> Result<()> {
        self.prior.map_or(Ok(()), |kind| run.use_prior(kind))
    }
}

/// Reads the name of a kind of prior.
pub(super) fn prior_kind(word: &str) -> std::result::Result<PriorKind, String> {
    let words = PriorKind::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    PriorKind::named(word).ok_or_else(|| format!("it must be one of {words}"))
}

/// Opens a run on a device, and prints what a user should know about it.
///
/// # Errors
/// As [`LoadedRun::open`].
pub(super) fn open(folder: &Path, config: Config, chosen: &Chosen) -> Result<LoadedRun> {
    let mut run = LoadedRun::open(folder, config, chosen.device.clone())?;
    let of_prior = run.use_prior_of_codes();
    run.warning.iter().chain(&of_prior).for_each(|words| warn(words));
    Ok(run)
}

/// Prints how the images differ from those of the training, if they were read and differ.
pub(super) fn warn_of_changes(run: &LoadedRun) {
    if let Some(changes) = run.changes() {
        warn(&format!("{}: the images have changed since the training: {changes}", run.path.display()));
    }
}
