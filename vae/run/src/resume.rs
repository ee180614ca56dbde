//! What a run has behind it, as its folder tells: the last checkpoint, and as much of the files beside it as that knows of.

use std::fs;
use std::path::Path;

use vae_core::config::Config;
use vae_core::train::{EarlyStopping, Epoch, Trainer};
use vae_core::{Error, Result};

use crate::checkpoint::{self, Meta};
use crate::folder::{BEST, LAST, METRICS, STEPS};

/// A run that can go on.
pub struct ResumedRun {
    pub(crate) path: std::path::PathBuf,
    bytes: Vec<u8>,
    meta: Meta,
    /// Its configuration, but for paths, device and what else moves no number.
    config: Config,
    pub(crate) history: Vec<Epoch>,
    /// Bytes of the two logs that the checkpoint knows of.
    pub(crate) metrics: u64,
    pub(crate) steps: u64,
    /// `best.safetensors`, if any epoch was the best.
    pub(crate) best: Option<Vec<u8>>,
}

impl ResumedRun {
    /// Reads what the folder of a run holds, and sees that it is whole.
    ///
    /// # Errors
    /// In one line: what is missing, or does not fit the rest.
    pub fn read(run: &Path) -> Result<ResumedRun> {
        let path = run.join(LAST);
        if !path.exists() {
            return Err(Error::config(format!(
                "{}: contains no checkpoint ({LAST}), so there is no run to continue; start one with --out",
                run.display()
            )));
        }
        let (bytes, meta) = checkpoint::file(&path)?;
        let meta = meta.ok_or_else(|| {
            Error::file(&path, "is not a checkpoint of a run, so it cannot be resumed; use --init to load its weights")
        })?;
        let config = meta.config(&path)?;
        let state = meta.state();
        let (text, metrics) = head(&run.join(METRICS), state.epoch.saturating_sub(1))?;
        let history = epochs(text.lines())
            .ok_or_else(|| Error::file(&run.join(METRICS), "has lines that are not epochs of this run"))?;
        let steps = match config.train.log_steps {
            0 => 0,
            every => head(&run.join(STEPS), state.adam as usize / every)?.1,
        };
        let best = match meta.best() {
            None => None,
            Some((epoch, _)) => {
                let path = run.join(BEST);
                let (bytes, found) = checkpoint::file(&path)?;
                // It may be of a later epoch, whose end the last checkpoint did not see.
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
        Ok(ResumedRun { path, bytes, meta, config, history, metrics, steps, best })
    }

    /// Refuses a configuration that the run cannot go on with.
    ///
    /// # Errors
    /// In one line, which names the key.
    pub fn check(&self, config: &Config) -> Result<()> {
        checkpoint::check(&self.config, config)
    }

    /// Steps done.
    pub fn steps_done(&self) -> u64 {
        self.meta.state().adam
    }

    /// Whether nothing is left to train by this configuration.
    pub fn is_finished(&self, config: &Config) -> bool {
        let done = self.history.len();
        done >= config.train.epochs || self.meta.state().step == 0 && self.early(config).is_over(done)
    }

    /// Its epochs.
    pub fn history(&self) -> &[Epoch] {
        &self.history
    }

    /// What early stopping knows.
    pub(crate) fn early(&self, config: &Config) -> EarlyStopping {
        EarlyStopping::since(config.train.early_stopping, self.meta.best())
    }

    /// Puts a trainer where this run stands.
    pub(crate) fn restore(&self, trainer: &mut Trainer) -> Result<()> {
        self.meta.restore(trainer, &self.bytes, &self.path)
    }
}

/// The epochs of a run. A torn last line, of a run that was killed as it wrote, is left out.
///
/// # Errors
/// If the file cannot be read, or its lines are no epochs.
pub fn history(run: &Path) -> Result<Vec<Epoch>> {
    let path = run.join(METRICS);
    if !path.exists() {
        return Ok(Vec::new()); // no epoch has ended
    }
    let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    epochs(whole).ok_or_else(|| Error::file(&path, "has lines that are not epochs of a run"))
}

/// What lines tell, if they are epochs in their order.
fn epochs<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Vec<Epoch>> {
    let told = lines.map(|line| serde_json::from_str(line).ok().as_ref().and_then(Epoch::of_json));
    told.collect::<Option<Vec<_>>>().filter(|all| all.iter().zip(1..).all(|(e, n)| e.epoch == n))
}

/// The first lines of a file, and their length in bytes.
fn head(path: &Path, lines: usize) -> Result<(String, u64)> {
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
