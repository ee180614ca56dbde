//! Many runs in one folder.
//!
//! ```text
//! DIR/beta=1,z_dim=10/   a run, named by its values
//! DIR/results.jsonl      a line a run that has ended: its settings, and its best epoch; in the order of the grid
//! ```
//!
//! Interrupted grids continue: a run with a line in `results.jsonl` is not repeated. Any other run continues from its last
//! checkpoint, or starts again if it has no usable one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vae_core::config::{Config, DataKind, Settings};
use vae_core::{Error, Result};
use vae_run::{Folder, LAST, Outcome, ResumedRun, with_absolute_paths};

use super::points::Point;
use super::{Ranks, RunOptions, train_run};
use crate::console::{eprint_line, warn};
use crate::device::Chosen;

/// A line of `results.jsonl`: `point`, `settings`, and `best_epoch`, `epochs`, `seconds`, `validation`, or `failed`.
pub type ResultLine = Map<String, Value>;

/// A folder of many runs, and their results.
pub struct Grid {
    /// The folder.
    pub folder: Folder,
    results: Vec<ResultLine>,
    /// The names of its runs.
    names: Vec<String>,
}

impl Grid {
    /// The grid in a folder that this process has locked. It may contain only these runs.
    ///
    /// # Errors
    /// If the folder contains a run with another configuration, or its results cannot be read.
    pub fn open<'a>(folder: Folder, points: impl IntoIterator<Item = &'a Point>) -> Result<Grid> {
        let (results, mut names) = (results(folder.path())?, Vec::new());
        for point in points {
            point.check_folder(folder.path())?;
            names.push(point.name.clone());
        }
        Ok(Grid { folder, results, names })
    }

    /// The folder of a run.
    pub fn path(&self, point: &Point) -> PathBuf {
        self.folder.path().join(&point.name)
    }

    /// The result of a run, if it has ended.
    pub fn result(&self, point: &Point) -> Option<&ResultLine> {
        self.results.iter().find(|line| line.get("point").is_some_and(|name| *name == point.name))
    }

    /// How many of these runs have ended.
    pub fn done<'a>(&self, points: impl IntoIterator<Item = &'a Point>) -> usize {
        points.into_iter().filter(|point| self.result(point).is_some()).count()
    }

    /// Keeps the result of a run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, line: ResultLine) -> Result<()> {
        self.results.push(line);
        let place = |line: &ResultLine| {
            self.names.iter().position(|name| line.get("point").is_some_and(|point| *point == *name))
        };
        self.results.sort_by_key(|line| place(line).unwrap_or(usize::MAX));
        let text: String = self.results.iter().map(|line| format!("{}\n", json!(line))).collect();
        self.folder.write("results.jsonl", text.as_bytes())
    }
}

impl Point {
    /// Trains the run in this folder to its end, and returns its result. `None` if it was interrupted. A run that diverges counts as ended,
    /// too.
    ///
    /// # Errors
    /// If the run fails for any other reason.
    pub fn train(&self, path: &Path, chosen: &Chosen, options: RunOptions) -> Result<Option<ResultLine>> {
        let resumed = self.resume(path)?;
        let folder = resumed.as_ref().map_or_else(|| Folder::prepare(path), ResumedRun::open_folder)?;
        let line = match train_run(self.config.clone(), chosen, folder, resumed, options, &Ranks::alone()) {
            Ok(Outcome::Interrupted) => return Ok(None),
            Ok(Outcome::Finished | Outcome::Stopped { .. }) => self.result(&epochs(path)?),
            // A repetition would diverge again, so the run counts as ended, and the others continue.
            Err(Error::Diverged(why)) => {
                warn(&format!("{}: {why}", self.name));
                self.failure(&why)
            }
            Err(error) => return Err(error),
        };
        chosen.gpu.iter().for_each(|gpu| gpu.trim());
        Ok(Some(line))
    }

    /// Returns an error if the folder contains a run with another configuration.
    fn check_folder(&self, grid: &Path) -> Result<()> {
        let path = grid.join(&self.name).join("config.toml");
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
        let mut settings = Settings::default();
        settings.file(&text, &path.display().to_string())?;
        let mut there = settings.resolve()?;
        self.ignore_places(&mut there);
        if with_absolute_paths(&there) == with_absolute_paths(&self.config) {
            return Ok(());
        }
        Err(Error::config(format!(
            "{}: contains a run with another configuration; name another folder with --out",
            path.parent().unwrap_or(grid).display()
        )))
    }

    /// Takes over what says where something is: the device, the folder of a known data set, and the folder of the grid in the path
    /// of an encoder.
    fn ignore_places(&self, there: &mut Config) {
        there.device = self.config.device;
        if there.data.kind != DataKind::Folder {
            there.data.dir.clone_from(&self.config.data.dir);
        }
        let (ours, theirs) = (&self.config.model.init_encoder, &there.model.init_encoder);
        let inside: PathBuf =
            Path::new(ours).components().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
        if !ours.is_empty() && Path::new(theirs).ends_with(&inside) {
            there.model.init_encoder.clone_from(ours);
        }
    }

    /// Returns the state of an interrupted run with this configuration. The folder of a run that cannot be resumed gets another name.
    /// One without a checkpoint is deleted.
    fn resume(&self, run: &Path) -> Result<Option<ResumedRun>> {
        if !run.join("config.toml").exists() {
            return Ok(None);
        }
        let error = match ResumedRun::read(run).and_then(|resumed| resumed.check(&self.config).map(|()| resumed)) {
            Ok(resumed) => return Ok(Some(resumed)),
            Err(error) => error,
        };
        let failed = |error| Error::file(run, format!("cannot be started again: {error}"));
        if !run.join(LAST).exists() {
            fs::remove_dir_all(run).map_err(failed)?; // the run had not trained a step
            return Ok(None);
        }
        // The error may be temporary, such as one of the disk, so the folder is kept.
        let aside = |n: u32| run.with_file_name(format!("{}.unreadable-{n}", self.name));
        let aside = (1..).map(aside).find(|path| !path.exists()).expect("one of them is free");
        fs::rename(run, &aside).map_err(failed)?;
        let kept = aside.display();
        eprint_line(&format!("warning: {error}; the run is started again, and what it had trained is kept in {kept}"));
        Ok(None)
    }

    /// The name and the settings, which begin a line of `results.jsonl`.
    pub fn line(&self) -> ResultLine {
        let settings: ResultLine = self.settings.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        [("point".to_owned(), json!(self.name)), ("settings".to_owned(), Value::Object(settings))].into_iter().collect()
    }

    /// The line of a finished run. It reports the epoch with the lowest validation loss, as early stopping does.
    fn result(&self, epochs: &[Value]) -> ResultLine {
        let total = |epoch: &Value| epoch["validation"]["total"].as_f64().unwrap_or(f64::INFINITY);
        let best = epochs.iter().reduce(|best, epoch| if total(epoch) < total(best) { epoch } else { best });
        let best = best.cloned().unwrap_or_default();
        let seconds: f64 = epochs.iter().filter_map(|epoch| epoch["seconds"].as_f64()).sum();
        let mut line = self.line();
        line.insert("best_epoch".into(), best["epoch"].clone());
        line.insert("epochs".into(), json!(epochs.len()));
        line.insert("seconds".into(), json!((seconds * 1e3).round() / 1e3));
        line.insert("validation".into(), best["validation"].clone());
        line
    }

    /// The line of a run that diverged.
    fn failure(&self, why: &str) -> ResultLine {
        let mut line = self.line();
        line.insert("failed".into(), json!(why));
        line
    }
}

/// Whether this is the folder of a grid of which a run has ended.
pub fn is_grid(folder: &Path) -> bool {
    !folder.join("config.toml").exists() && folder.join("results.jsonl").exists()
}

/// The folders of the runs of a grid that have ended, in the order of their names' first appearance in `results.jsonl`. `None` if the
/// folder is not that of a grid.
///
/// # Errors
/// If `results.jsonl` cannot be read, or all of its runs diverged.
pub fn run_folders(grid: &Path) -> Result<Option<Vec<PathBuf>>> {
    if !is_grid(grid) {
        return Ok(None);
    }
    let lines = results(grid)?;
    let trained = lines.iter().filter(|line| !line.contains_key("failed"));
    let runs: Vec<PathBuf> = trained.filter_map(|line| Some(grid.join(line.get("point")?.as_str()?))).collect();
    match runs.is_empty() {
        true => Err(Error::file(grid, "none of its runs has ended without diverging; train them first")),
        false => Ok(Some(runs)),
    }
}

/// The lines of `results.jsonl` whose run folders still exist; none if there is no such file.
///
/// # Errors
/// If the file cannot be read.
pub fn results(grid: &Path) -> Result<Vec<ResultLine>> {
    let path = grid.join("results.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut lines = lines(&path)?;
    lines.retain(|line| {
        let name = line.get("point").and_then(Value::as_str);
        name.is_some_and(|name| grid.join(name).join("config.toml").exists())
    });
    Ok(lines)
}

/// Reads the JSON objects of a file, one per line.
fn lines(path: &Path) -> Result<Vec<ResultLine>> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let object = |(i, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| Error::file(path, format!("line {} is not a result ({error}); remove the folder", i + 1)))
    };
    text.lines().enumerate().map(object).collect()
}

/// Reads the epochs of a run from its `metrics.jsonl`.
///
/// # Errors
/// If the file cannot be read.
pub fn epochs(run: &Path) -> Result<Vec<Value>> {
    Ok(lines(&run.join("metrics.jsonl"))?.into_iter().map(Value::Object).collect())
}

#[cfg(test)]
mod tests {
    use super::super::points::points;
    use super::*;

    #[test]
    fn the_best_epoch_is_the_first_minimum_and_words_are_not_numbers() {
        let epoch =
            |number: u64, total: Value| json!({ "epoch": number, "seconds": 1.5, "validation": { "total": total } });
        let epochs = [epoch(1, json!("NaN")), epoch(2, json!(3.0)), epoch(3, json!(2.0)), epoch(4, json!(2.0))];
        let line = points(&["loss.beta=4".into()], &Settings::default()).unwrap()[0].result(&epochs);
        assert_eq!((&line["best_epoch"], &line["epochs"], &line["seconds"]), (&json!(3), &json!(4), &json!(6.0)));
    }
}
