//! A run that was trained, open again: its configuration, its images, what its epochs came to, and the weights of its best
//! epoch (else the last).

use std::collections::BTreeSet;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use nn::Module;
use tensor::Device;
use vae_core::config::{Config, Settings};
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::predict::Predictor;
use vae_core::train::{Epoch, Trainer};
use vae_core::{Error, Result};

use crate::checkpoint::{self, Meta};
use crate::folder::{BEST, checkpoint_of};
use crate::resume::history;

/// A run, and its model.
pub struct LoadedRun {
    /// Its folder.
    pub path: PathBuf,
    /// What it is called: the folder's name, or more of its path where runs beside it have the same; see [`names`].
    pub name: String,
    /// The model with the weights of `epoch`.
    pub predictor: Predictor,
    /// The images.
    pub dataset: Dataset,
    /// All its epochs.
    pub history: Vec<Epoch>,
    /// Whose weights these are, counted from 1; 0 if no epoch has ended.
    pub epoch: usize,
}

/// The configuration of a run, but for what flags say: key, value and name of each that is given.
///
/// # Errors
/// If the folder holds no run, or its configuration was changed to what cannot be.
pub fn configuration(folder: &Path, flags: &[(&str, Option<&str>, &str)]) -> Result<Config> {
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(|error| match run_inside(folder) {
        Some(run) => Error::config(format!(
            "{}: contains runs, but is not a run itself; name one of them, such as {run}",
            folder.display()
        )),
        None => Error::file(&path, format!("cannot be read: {error}; name the folder of a run")),
    })?;
    let mut settings = Settings::default();
    settings.file(&text, &path.display().to_string())?;
    for &(key, value, flag) in flags {
        value.map_or(Ok(()), |value| settings.flag(key, value, flag))?;
    }
    let config = settings.resolve()?;
    config.check()?;
    Ok(config)
}

/// A run that lies in this folder.
fn run_inside(folder: &Path) -> Option<String> {
    let runs = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    Some(runs.filter(|path| path.join("config.toml").is_file()).min()?.display().to_string())
}

/// Fills a model with the weights of a run's best epoch, else its last. Returns all epochs, and which of them that is.
fn load_best(folder: &Path, model: &dyn Module) -> Result<(Vec<Epoch>, usize)> {
    let (history, file) = (history(folder)?, checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::file(&file)?;
    checkpoint::fill(model, &bytes, &file)?;
    let epoch = epoch(&history, meta, &file);
    Ok((history, epoch))
}

/// Whose weights a checkpoint holds.
fn epoch(history: &[Epoch], meta: Option<Meta>, file: &Path) -> usize {
    let best = meta.and_then(|meta| meta.best()).filter(|_| file.ends_with(BEST));
    best.map_or(history.len(), |(epoch, _)| epoch)
}

/// The names of folders, however they were written, each with as many of the folders around it as tells all of them apart.
pub fn distinct_names<P: AsRef<Path>>(folders: &[P]) -> Vec<String> {
    let whole = |folder: &P| folder.as_ref().canonicalize().unwrap_or_else(|_| folder.as_ref().to_owned());
    let paths: Vec<PathBuf> = folders.iter().map(whole).collect();
    let different = |all: &[&str]| all.iter().collect::<BTreeSet<_>>().len();
    let written: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let of_depth = |depth: usize| -> Vec<&str> {
        let ends =
            written.iter().map(|path| path.rmatch_indices(MAIN_SEPARATOR).nth(depth - 1).map_or(0, |(at, _)| at + 1));
        written.iter().zip(ends).map(|(path, from)| &path[from..]).collect()
    };
    let all = different(&written.iter().map(String::as_str).collect::<Vec<_>>());
    let names = (1..).map(of_depth).find(|names| different(names) == all);
    names.into_iter().flatten().map(str::to_owned).collect()
}

impl LoadedRun {
    /// Opens a run of this configuration on a device: the weights of its best epoch, and its images.
    ///
    /// # Errors
    /// If the images are not there, the checkpoint is missing, damaged, or another model's, or the metrics are no epochs.
    pub fn open(folder: &Path, config: Config, device: Device) -> Result<LoadedRun> {
        let dataset = vae_data::load(&config)?;
        let model = learn::build(&config);
        let (history, epoch) = load_best(folder, &*model)?;
        let predictor = Predictor::new(config, model, dataset.transform.clone(), device);
        Ok(LoadedRun::new(folder, predictor, dataset, history, epoch))
    }

    /// The same for a run that has just ended, whose trainer is at hand.
    ///
    /// # Errors
    /// If the checkpoint is missing or damaged, or the metrics are no epochs.
    pub fn from_trainer(folder: &Path, mut trainer: Trainer) -> Result<LoadedRun> {
        let mut found = None;
        trainer.load_final_weights(|model| {
            found = Some(load_best(folder, model)?);
            Ok(())
        })?;
        let (history, epoch) = found.expect("filled above");
        let (predictor, dataset) = trainer.into_parts();
        Ok(LoadedRun::new(folder, predictor, dataset, history, epoch))
    }

    fn new(folder: &Path, predictor: Predictor, dataset: Dataset, history: Vec<Epoch>, epoch: usize) -> LoadedRun {
        LoadedRun {
            path: folder.to_owned(),
            name: distinct_names(&[folder]).concat(),
            predictor,
            dataset,
            history,
            epoch,
        }
    }

    /// The names of the labels; empty where the data set has none.
    pub fn class_names(&self) -> &[String] {
        self.dataset.test.images().class_names()
    }

    /// What a figure of this run is headed by: which run, and whose weights.
    pub fn title(&self) -> String {
        format!("{}, epoch {}", self.name, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_are_called_alike_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let made = |path: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let [a, b, c] = ["random/beta=1", "pretrained/beta=1", "random/beta=4"].map(made);
        assert_eq!(distinct_names(&[&a]), ["beta=1"]);
        assert_eq!(distinct_names(&[&a, &c]), ["beta=1", "beta=4"]);
        assert_eq!(distinct_names(&[&a, &b, &c]), ["random/beta=1", "pretrained/beta=1", "random/beta=4"]);
        assert_eq!(distinct_names(&[&a, &a.join(".")]), ["beta=1", "beta=1"]); // the same one twice
        assert_eq!(distinct_names(&[Path::new("nowhere/at/all")]), ["all"]);
        assert_eq!(distinct_names::<PathBuf>(&[]), [""; 0]);
    }

    #[test]
    fn a_folder_of_runs_is_told_from_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let told = |folder: &Path| configuration(folder, &[]).unwrap_err().to_string();
        assert!(told(dir.path()).contains("name the folder of a run"));
        for name in ["seed=2", "seed=1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("config.toml"), "").unwrap();
        }
        let told = told(dir.path());
        assert!(told.contains("contains runs, but is not a run itself") && told.ends_with("seed=1"), "{told}");
    }
}
