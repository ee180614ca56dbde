//! Reading the folder of a run in order to resume it: the last checkpoint, and the part of the logs that belongs to it.

use std::fs;
use std::path::{Path, PathBuf};

use vae_core::config::Config;
use vae_core::data::Dataset;
use vae_core::train::{EarlyStopping, Epoch, Trainer};
use vae_core::{Error, Result};

use crate::checkpoint::{self, Meta};
use crate::dataset_record::ImageHashes;
use crate::folder::{BEST, Folder, LAST, METRICS, STEPS, contains_runs};

/// An interrupted run that can be resumed.
pub struct ResumedRun {
    /// The folder, and the last checkpoint in it.
    run: PathBuf,
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
    meta: Meta,
    /// The configuration of the run, without paths, the device, and other keys that do not change the results.
    config: Config,
    pub(crate) history: Vec<Epoch>,
    /// The length in bytes of the two logs up to the checkpoint.
    pub(crate) metrics: u64,
    pub(crate) steps: u64,
    /// The bytes of `best.safetensors`, if the run has a best epoch.
    pub(crate) best: Option<Vec<u8>>,
    /// The hashes of the images that the run was trained on, and of those that it continues with.
    pub(crate) hashes: Option<ImageHashes>,
}

impl ResumedRun {
    /// Reads the folder of a run, and checks that its files belong together.
    ///
    /// # Errors
    /// Returns an error if a file is missing, is damaged, or does not match the last checkpoint.
    pub fn read(run: &Path) -> Result<ResumedRun> {
        let path = run.join(LAST);
        if !path.exists() {
            let nothing = format!(
                "{}: contains no checkpoint ({LAST}), so there is no run to continue; start one with --out",
                run.display()
            );
            return Err(contains_runs(run).unwrap_or_else(|| Error::config(nothing)));
        }
        let (bytes, meta) = checkpoint::read_with_meta(&path)?;
        let meta = meta.ok_or_else(|| {
            Error::file(&path, "is not a checkpoint of a run, so it cannot be resumed; use --init to load its weights")
        })?;
        let config = meta.config(&path)?;
        let state = meta.state();
        let (text, metrics) = first_lines(&run.join(METRICS), state.epoch.saturating_sub(1))?;
        let history = epochs(text.lines())
            .ok_or_else(|| Error::file(&run.join(METRICS), "has lines that are not epochs of this run"))?;
        let steps = match config.train.log_steps {
            0 => 0,
            every => first_lines(&run.join(STEPS), state.adam as usize / every)?.1,
        };
        let best = match meta.best() {
            None => None,
            Some((epoch, _)) => {
                let path = run.join(BEST);
                let (bytes, found) = checkpoint::read_with_meta(&path)?;
                // The best checkpoint may be of a later epoch, if the run was killed before it wrote the last checkpoint.
                let fits = found.and_then(|found| found.best()).is_some_and(|(found, _)| found >= epoch);
                if !fits {
                    return Err(Error::file(
                        &path,
                        format!("is not that of epoch {epoch}, which is the best according to {LAST}"),
                    ));
                }
                Some(bytes)
            }
        };
        Ok(ResumedRun { run: run.to_owned(), path, bytes, meta, config, history, metrics, steps, best, hashes: None })
    }

    /// Locks the folder of the run.
    ///
    /// # Errors
    /// If another process uses the folder, or has trained the run further since it was read.
    pub fn open_folder(&self) -> Result<Folder> {
        let folder = Folder::open(&self.run)?;
        if fs::read(&self.path).is_ok_and(|now| now == self.bytes) {
            return Ok(folder);
        }
        let why = "another process has trained this run further in the meantime; give the command again";
        Err(Error::file(&self.run, why))
    }

    /// Checks that the run can be resumed with this configuration.
    ///
    /// # Errors
    /// Returns an error that names the first key that must not change.
    pub fn check(&self, config: &Config) -> Result<()> {
        checkpoint::check(&self.config, config)
    }

    /// Checks that the images of a data set are those that the run was trained on, and gives the data set the mean and
    /// standard deviation of the run. With `allow_changed`, the images may be others. Returns a warning, if there is
    /// something to warn of.
    ///
    /// # Errors
    /// Returns an error that names what changed, or if an image cannot be read.
    pub fn check_images(&mut self, dataset: &mut Dataset, allow_changed: bool) -> Result<Option<String>> {
        let mut hashes = ImageHashes::of(dataset)?;
        let Some(record) = self.meta.data() else {
            self.hashes = Some(hashes);
            return Ok(Some(format!(
                "{}: written by an older version, which did not record the images; they may have changed",
                self.path.display()
            )));
        };
        let before = ImageHashes::read(&self.run);
        let changes = record.changes(before.as_ref(), dataset, &hashes);
        if let Some(changes) = changes.as_ref().filter(|_| !allow_changed) {
            return Err(changes.refusal(&self.run));
        }
        dataset.transform = record.transform(&self.config).map_err(|what| Error::file(&self.path, what))?;
        if let Some(before) = &before {
            hashes.add_trained(before);
        }
        self.hashes = Some(hashes);
        Ok(changes.map(|changes| format!("the run continues with other images: {changes}")))
    }

    /// Returns the number of steps that were done.
    pub fn steps_done(&self) -> u64 {
        self.meta.state().adam
    }

    /// Returns the bytes of the checkpoint.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether nothing is left to train with this configuration.
    pub fn is_finished(&self, config: &Config) -> bool {
        let done = self.history.len();
        done >= config.train.epochs || self.meta.state().step == 0 && self.early(config).is_over(done)
    }

    /// Returns the metrics of the epochs that have ended.
    pub fn history(&self) -> &[Epoch] {
        &self.history
    }

    /// Returns the state of early stopping at the checkpoint.
    pub(crate) fn early(&self, config: &Config) -> EarlyStopping {
        EarlyStopping::since(config.train.early_stopping, self.meta.best())
    }

    /// Restores a trainer to the state of the checkpoint.
    pub(crate) fn restore(&self, trainer: &mut Trainer) -> Result<()> {
        self.meta.restore(trainer, &self.bytes, &self.path)
    }
}

/// Returns the metrics of all epochs of a run. An incomplete last line, which a killed run can leave, is ignored.
///
/// # Errors
/// Returns an error if the file cannot be read, or if a line is not an epoch.
pub fn history(run: &Path) -> Result<Vec<Epoch>> {
    let path = run.join(METRICS);
    if !path.exists() {
        return Ok(Vec::new()); // no epoch has ended
    }
    let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    epochs(whole).ok_or_else(|| Error::file(&path, "has lines that are not epochs of a run"))
}

/// Parses one epoch per line. Returns `None` if a line is not an epoch, or if the epochs are not numbered 1, 2, 3 and
/// so on.
fn epochs<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Epoch>> {
    let parsed = lines.map(|line| serde_json::from_str(line).ok().as_ref().and_then(Epoch::from_json));
    parsed.collect::<Option<Vec<_>>>().filter(|all| all.iter().zip(1..).all(|(e, n)| e.epoch == n))
}

/// Returns the first `lines` lines of a file, and their length in bytes.
fn first_lines(path: &Path, lines: usize) -> Result<(String, u64)> {
    if lines == 0 {
        return Ok((String::new(), 0));
    }
    let mut text = fs::read_to_string(path).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let found = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).take(lines);
    let (count, len) = found.fold((0, 0), |(count, len), line| (count + 1, len + line.len()));
    if count < lines {
        return Err(Error::file(path, format!("has {count} lines, but the last checkpoint counts {lines}")));
    }
    text.truncate(len);
    Ok((text, len as u64))
}

#[cfg(test)]
mod tests;
