//! A run that was trained, open again: its configuration, its images, what its epochs came to, and the weights of its best
//! epoch (else the last).

use std::collections::BTreeSet;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use tensor::Device;

use crate::checkpoint::{self, Meta};
use crate::config::{Config, Settings};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::export;
use crate::learn;
use crate::run;
use crate::train::{Epoch, Trainer};

/// A run, and its model.
pub struct Trained {
    /// Its folder.
    pub path: PathBuf,
    /// What it is called: the folder's name, or more of its path where runs beside it have the same; see [`names`].
    pub name: String,
    /// The model with the weights of `epoch`, and the images.
    pub trainer: Trainer,
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
        Some(run) => {
            Error::config(format!("{}: holds runs, and is none; name one of them, such as {run}", folder.display()))
        }
        None => Error::file(&path, format!("cannot be read: {error}; name a folder that train has left")),
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

/// A run of this configuration, with the weights of its best epoch, and its images, on a device.
///
/// # Errors
/// If the images are not there, the checkpoint is missing, damaged, or another model's, or the metrics are no epochs.
pub fn open(folder: &Path, config: Config, device: Device) -> Result<Trained> {
    let dataset = Dataset::load(&config)?;
    let model = learn::build(&config);
    let (history, file) = (run::history(folder)?, export::checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::file(&file)?;
    checkpoint::fill(&*model, &bytes, &file)?;
    let epoch = epoch(&history, meta, &file);
    Ok(Trained::new(folder, Trainer::of(config, dataset, model, device), history, epoch))
}

/// The same of a run that has just ended, whose trainer is at hand: it gets the weights of the best epoch, for good.
///
/// # Errors
/// If the checkpoint is missing or damaged, or the metrics are no epochs.
pub fn ended(folder: &Path, mut trainer: Trainer) -> Result<Trained> {
    let (history, file) = (run::history(folder)?, export::checkpoint_of(folder)?);
    let (bytes, meta) = checkpoint::file(&file)?;
    trainer.settle_on(|model| checkpoint::fill(model, &bytes, &file))?;
    let epoch = epoch(&history, meta, &file);
    Ok(Trained::new(folder, trainer, history, epoch))
}

/// Whose weights a checkpoint holds.
fn epoch(history: &[Epoch], meta: Option<Meta>, file: &Path) -> usize {
    let best = meta.and_then(|meta| meta.best()).filter(|_| file.ends_with(run::BEST));
    best.map_or(history.len(), |(epoch, _)| epoch)
}

/// The names of folders, however they were written, each with as many of the folders around it as tells all of them apart.
pub fn names<P: AsRef<Path>>(folders: &[P]) -> Vec<String> {
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

impl Trained {
    fn new(folder: &Path, trainer: Trainer, history: Vec<Epoch>, epoch: usize) -> Trained {
        Trained { path: folder.to_owned(), name: names(&[folder]).concat(), trainer, history, epoch }
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
        assert_eq!(names(&[&a]), ["beta=1"]);
        assert_eq!(names(&[&a, &c]), ["beta=1", "beta=4"]);
        assert_eq!(names(&[&a, &b, &c]), ["random/beta=1", "pretrained/beta=1", "random/beta=4"]);
        assert_eq!(names(&[&a, &a.join(".")]), ["beta=1", "beta=1"]); // the same one twice
        assert_eq!(names(&[Path::new("nowhere/at/all")]), ["all"]);
        assert_eq!(names::<PathBuf>(&[]), [""; 0]);
    }

    #[test]
    fn a_folder_of_runs_is_told_from_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let told = |folder: &Path| configuration(folder, &[]).unwrap_err().to_string();
        assert!(told(dir.path()).contains("name a folder that train has left"));
        for name in ["seed=2", "seed=1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("config.toml"), "").unwrap();
        }
        let told = told(dir.path());
        assert!(told.contains("holds runs, and is none") && told.ends_with("seed=1"), "{told}");
    }
}
