//! `--sweep`: a grid of runs in one folder.
//!
//! ```text
//! DIR/beta=1,z_dim=10/   a run, named by its values
//! DIR/results.jsonl      a line a run that has ended: its settings, and its best epoch
//! DIR/table.md           the same as a table
//! DIR/curves.png, .svg   validation, one curve a run
//! ```
//!
//! A grid that was interrupted goes on where it stopped: a run with a line in `results.jsonl` is not repeated, one without
//! goes on from its last checkpoint, or is begun anew if it has none that can be used. Nothing runs before every point was
//! checked.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use vae::Error;
use vae::config::Settings;
use vae::device;
use vae::figure::{Curve, overlay};
use vae::objective::effective_beta;
use vae::run::{Folder, LAST, Outcome, Past};
use vae::train::number;

use crate::cli::Cli;
use crate::download;
use crate::memory;
use crate::points::{Point, points};
use crate::session::{catch_signals, eprint_line, folder_path, interrupted, run_in};
use vae::say;

/// Runs the grid, or shows it.
pub(crate) fn main(cli: &Cli) -> Result<ExitCode> {
    let points = points(&cli.sweep, &cli.settings()?)?;
    for point in &points {
        point.config.check().map_err(|error| point.error(error))?;
    }
    let name = format!("{}-sweep", points[0].config.name);
    let path = folder_path(cli.out.as_deref(), &name)?;
    let chosen = device::choose(points[0].config.device, device::start_threads(cli.threads)?)?;
    if chosen.computes_in_memory() {
        let available = memory::available();
        points.iter().try_for_each(|point| point.config.check_memory(available).map_err(|error| point.error(error)))?;
    }
    let mut folder = Folder::prepare(&path)?;
    let mut results = Results::read(&path)?;
    for point in &points {
        point.check_folder(&path)?;
    }
    if cli.download {
        points.iter().try_for_each(|point| download::fetch(&point.config))?;
    }
    if cli.dry_run {
        dry_run(cli, &points, &results);
        return Ok(ExitCode::SUCCESS);
    }
    catch_signals()?;
    for (i, point) in points.iter().enumerate() {
        let place = format!("point {} of {}: {}", i + 1, points.len(), point.name);
        if results.of(point).is_some() {
            say!("{place}, done before");
            continue;
        }
        if interrupted() {
            return Ok(stopped(&points, &results, &path));
        }
        say!("{place}\n");
        let run = path.join(&point.name);
        let past = point.past(&run)?;
        match run_in(point.config.clone(), &chosen, &run, past, false) {
            Ok(Outcome::Interrupted) => return Ok(stopped(&points, &results, &path)),
            Ok(Outcome::Finished | Outcome::Stopped { .. }) => results.add(point.result(&epochs(&run)?)),
            Err(error) => match error.downcast_ref::<Error>() {
                // The same numbers would come out again: it counts as done, and the others go on.
                Some(Error::Diverged(why)) => {
                    eprint_line(&format!("warning: {}: {why}", point.name));
                    results.add(point.failure(why));
                }
                _ => return Err(error),
            },
        }
        folder.write("results.jsonl", results.text().as_bytes())?;
        chosen.gpu.iter().for_each(|gpu| gpu.trim());
        say!("");
    }
    conclude(&points, &results, &mut folder)
}

impl Point {
    /// An error of the configuration, with the point that it belongs to.
    fn error(&self, error: Error) -> Error {
        Error::config(format!("--sweep, {}: {error}", self.name))
    }

    /// Refuses a folder that holds another run than this.
    fn check_folder(&self, grid: &Path) -> Result<()> {
        let path = grid.join(&self.name).join("config.toml");
        if !path.exists() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, format!("cannot be read: {error}")))?;
        let mut settings = Settings::default();
        settings.file(&text, &path.display().to_string())?;
        let mut there = settings.resolve()?;
        there.device = self.config.device; // resolved in the file; the numbers do not depend on it
        if there == self.config {
            return Ok(());
        }
        Err(Error::config(format!(
            "{}: holds a run of another configuration; name another folder by --out",
            path.parent().unwrap_or(grid).display()
        ))
        .into())
    }

    /// What an interrupted run of this very configuration left to go on from. What cannot be used is taken away.
    fn past(&self, run: &Path) -> Result<Option<Past>> {
        if !run.join("config.toml").exists() {
            return Ok(None);
        }
        match Past::read(run).and_then(|past| past.check(&self.config).map(|()| past)) {
            Ok(past) => return Ok(Some(past)),
            Err(error) if run.join(LAST).exists() => eprint_line(&format!("warning: {error}; the run is begun anew")),
            Err(_) => {} // nothing was trained
        }
        fs::remove_dir_all(run).map_err(|error| Error::file(run, format!("cannot be begun anew: {error}")))?;
        Ok(None)
    }

    fn line(&self) -> Map<String, Value> {
        let settings: Map<String, Value> =
            self.settings.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        [("point".to_owned(), json!(self.name)), ("settings".to_owned(), Value::Object(settings))].into_iter().collect()
    }

    /// The line of a run that ended, from its epochs: the one with the lowest validation loss, as early stopping has it.
    fn result(&self, epochs: &[Value]) -> Map<String, Value> {
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
    fn failure(&self, why: &str) -> Map<String, Value> {
        let mut line = self.line();
        line.insert("failed".into(), json!(why));
        line
    }
}

/// The lines of `results.jsonl`.
struct Results(Vec<Map<String, Value>>);

impl Results {
    /// Those of a folder whose runs are still there.
    fn read(grid: &Path) -> Result<Results> {
        let path = grid.join("results.jsonl");
        if !path.exists() {
            return Ok(Results(Vec::new()));
        }
        let mut lines = lines(&path)?;
        lines.retain(|line| {
            let name = line.get("point").and_then(Value::as_str);
            name.is_some_and(|name| grid.join(name).join("config.toml").exists())
        });
        Ok(Results(lines))
    }

    fn of(&self, point: &Point) -> Option<&Map<String, Value>> {
        self.0.iter().find(|line| line.get("point").is_some_and(|name| *name == point.name))
    }

    fn add(&mut self, line: Map<String, Value>) {
        self.0.push(line);
    }

    fn text(&self) -> String {
        self.0.iter().map(|line| format!("{}\n", json!(line))).collect()
    }
}

/// The objects of a file, one a line.
fn lines(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let text = fs::read_to_string(path).map_err(|error| Error::file(path, format!("cannot be read: {error}")))?;
    let object = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            Error::file(path, format!("line {} is no result ({error}); remove the folder", i + 1)).into()
        })
    };
    text.lines().enumerate().map(object).collect()
}

/// The epochs of a run.
fn epochs(run: &Path) -> Result<Vec<Value>> {
    Ok(lines(&run.join("metrics.jsonl"))?.into_iter().map(Value::Object).collect())
}

fn stopped(points: &[Point], results: &Results, path: &Path) -> ExitCode {
    let done = points.iter().filter(|point| results.of(point).is_some()).count();
    eprint_line(&format!(
        "interrupted: {done} of {} points are done; the same command with --out {} goes on from there",
        points.len(),
        path.display()
    ));
    ExitCode::from(130)
}

fn dry_run(cli: &Cli, points: &[Point], results: &Results) {
    if cli.json {
        let point = |point: &Point| {
            let mut line = point.line();
            line.insert("done".into(), json!(results.of(point).is_some()));
            line.insert("effective_beta".into(), number(effective_beta(&point.config)));
            line.insert("config".into(), json!(point.config));
            Value::Object(line)
        };
        return say!("{}", json!({ "points": points.iter().map(point).collect::<Vec<_>>() }));
    }
    let width = points.iter().map(|point| point.name.len()).max().unwrap_or(0);
    for point in points {
        let done = if results.of(point).is_some() { ", done before" } else { "" };
        say!("{:width$}  effective β = {}{done}", point.name, effective_beta(&point.config));
    }
    say!("\n{} points. Nothing was trained: --dry-run.", points.len());
}

/// The table on stdout and in its file, and the curves.
fn conclude(points: &[Point], results: &Results, folder: &mut Folder) -> Result<ExitCode> {
    let rows: Vec<_> = points.iter().filter_map(|point| Some((point, results.of(point)?))).collect();
    let table = table(&rows);
    say!("{table}");
    folder.write("table.md", table.as_bytes())?;
    let mut curves = Vec::new();
    for (point, line) in &rows {
        if line.contains_key("validation") {
            let history = epochs(&folder.path().join(&point.name))?;
            curves.push(Curve::of_validation(&point.name, &history));
        }
    }
    let title = format!("{}: validation, {} runs", points[0].config.name, curves.len());
    let plot = overlay(&title, &curves);
    folder.write("curves.png", &plot.png())?;
    folder.write("curves.svg", plot.svg().as_bytes())?;
    say!("{0}/results.jsonl, {0}/table.md, {0}/curves.png", folder.path().display());
    let failed = rows.len() - curves.len();
    if failed > 0 {
        bail!("{failed} of {} points diverged; results.jsonl says where", rows.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// A row a point: its values, its best epoch, that epoch's validation figures, and the seconds of all its epochs.
fn table(rows: &[(&Point, &Map<String, Value>)]) -> String {
    let mut figures: Vec<&str> = Vec::new();
    for name in rows.iter().filter_map(|(_, line)| line.get("validation")?.as_object()).flat_map(Map::keys) {
        if name != "kl_per_dim" && !figures.contains(&name.as_str()) {
            figures.push(name);
        }
    }
    let keys = rows.first().map_or(&[][..], |(point, _)| &point.settings[..]);
    let head = keys.iter().map(|(key, _)| key.as_str()).chain(["best epoch"]).chain(figures.iter().copied());
    let mut cells = vec![head.chain(["seconds"]).map(str::to_owned).collect::<Vec<_>>()];
    for (point, line) in rows {
        let figure = |value: Option<&Value>| value.and_then(Value::as_f64).map_or_else(|| "–".to_owned(), digits);
        let best = match line.get("best_epoch") {
            Some(epoch) => format!("{epoch} of {}", line["epochs"]),
            None => "diverged".into(),
        };
        let values = point.settings.iter().map(|(_, value)| value.clone()).chain([best]);
        let measured = figures.iter().map(|name| figure(line.get("validation").and_then(|all| all.get(name))));
        cells.push(values.chain(measured).chain([figure(line.get("seconds"))]).collect());
    }
    let widths: Vec<usize> =
        (0..cells[0].len()).map(|i| cells.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut lines = cells.iter().map(|row| {
        let padded = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect::<Vec<_>>();
        format!("| {} |\n", padded.join(" | "))
    });
    let head = lines.next().unwrap_or_default();
    let rule = widths.iter().map(|&width| format!("{}:|", "-".repeat(width + 1))).collect::<String>();
    format!("{head}|{rule}\n{}", lines.collect::<String>())
}

/// A number to five digits, with six decimals at most.
fn digits(x: f64) -> String {
    let decimals = (4.0 - x.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let told = [123_456.7, 134.266, 13.456, 0.012_345_678, 0.0, -2.5].map(digits);
        assert_eq!(told, ["123457", "134.27", "13.456", "0.012346", "0.000000", "-2.5000"]);
    }

    #[test]
    fn the_best_epoch_is_the_first_of_the_lowest_and_words_are_no_numbers() {
        let epoch =
            |number: u64, total: Value| json!({ "epoch": number, "seconds": 1.5, "validation": { "total": total } });
        let epochs = [epoch(1, json!("NaN")), epoch(2, json!(3.0)), epoch(3, json!(2.0)), epoch(4, json!(2.0))];
        let line = points(&["loss.beta=4".into()], &Settings::default()).unwrap()[0].result(&epochs);
        assert_eq!((&line["best_epoch"], &line["epochs"], &line["seconds"]), (&json!(3), &json!(4), &json!(6.0)));
    }
}
