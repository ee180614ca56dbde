//! `--sweep`: a grid of runs in one folder, as `vae::session::grid` has it, and beside them
//!
//! ```text
//! DIR/table.md, .csv     a row for each run; if seeds are swept, means and standard deviations over seeds
//! DIR/curves.png, .svg   validation, one curve a run
//! ```
//!
//! Nothing runs before every point was checked.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use vae_core::Error;
use vae_core::config::Config;
use vae_core::objective::number;
use vae_data::memory;
use vae_figures::figure::{Curve, overlay};
use vae_run::{Folder, LoadedRun};
use vae_scores::{Options, Scores};

use super::args::Args;
use super::{download, folder};
use crate::console::{self, eprint_line, warn};
use crate::device::{self, Chosen};
use crate::report::IMAGES;
use crate::say;
use crate::session::grid::{Grid, epochs};
use crate::session::jobs::Jobs;
use crate::session::points::{Point, points};
use crate::session::sweep_table::{Row, SweepTable};
use crate::session::{catch_signals, interrupted};

/// Runs the grid, or shows it.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let points = points(&args.sweep, &args.settings()?)?;
    for point in &points {
        point.config.check().map_err(|error| at(point, &error))?;
        check_scores(&args.score, point)?;
    }
    let chosen = device::choose(points[0].config.device, device::start_threads(args.threads)?)?;
    if chosen.computes_in_memory() {
        let available = memory::available();
        points
            .iter()
            .try_for_each(|point| point.config.check_memory(available, 1).map_err(|error| at(point, &error)))?;
    }
    let name = format!("{}-sweep", points[0].config.name);
    let grid = Grid::open(folder::prepare(args.out.as_deref(), &name)?, &points)?;
    if args.download {
        points.iter().try_for_each(|point| download::fetch(&point.config))?;
    }
    if args.dry_run {
        return dry_run(args, &points, &grid);
    }
    catch_signals()?;
    let left: Vec<&Config> =
        points.iter().filter(|point| grid.result(point).is_none()).map(|point| &point.config).collect();
    let jobs = Jobs::new(Some(args.jobs.unwrap_or(1)), &left, &chosen)?;
    jobs.words().iter().for_each(|words| say!("{words}"));
    let shared = Mutex::new(grid);
    let ended = jobs.for_each(0..points.len(), |i| one(args, &points, i, &shared, jobs, &chosen))?;
    let mut grid = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match ended {
        true => conclude(args, &points, &mut grid, &chosen),
        false => Ok(stopped(&points, &grid)),
    }
}

/// Trains and scores a point, unless that is done. Returns `false` if it was interrupted.
fn one(args: &Args, points: &[Point], i: usize, shared: &Mutex<Grid>, jobs: Jobs, chosen: &Chosen) -> Result<bool> {
    let grid = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let point = &points[i];
    let place = format!("point {} of {}: {}", i + 1, points.len(), point.name);
    let path = grid().path(point);
    if grid().result(point).is_some() {
        say!("{place}, already done");
    } else if interrupted() {
        return Ok(false);
    } else {
        let Some(line) = jobs.train(&place, point, &path, chosen, args.run_options())? else { return Ok(false) };
        grid().add(line)?;
    }
    let trained = grid().result(point).is_some_and(|line| line.contains_key("validation"));
    if trained {
        jobs.label(&point.name, || scores(args, point, &path, chosen))?;
    }
    Ok(true)
}

/// The test scores of a run that did not diverge, if --score asks for some. They are computed unless its folder has those that are
/// wanted.
fn scores(args: &Args, point: &Point, path: &Path, chosen: &Chosen) -> Result<Option<Scores>> {
    if args.score.is_empty() {
        return Ok(None);
    }
    // Those of another number of images, or of samples of a fitted prior, cannot be compared with the other runs.
    let comparable = |scores: &Scores| scores.images == IMAGES && scores.fitted_prior.is_empty();
    let scores = match Scores::read(path)?.filter(comparable) {
        Some(scores) => scores,
        None => {
            let run = LoadedRun::open(path, point.config.clone(), chosen.device.clone())?;
            let scores = vae_scores::evaluate(
                &run,
                &Options { images: IMAGES, extractor: None, inception: None, ..Options::default() },
            )?;
            scores.warnings.iter().for_each(|words| warn(words));
            scores.write(&mut Folder::open_unlocked(path))?;
            scores
        }
    };
    Ok(Some(scores))
}

/// Returns an error if a run of this point has no score with one of these names.
fn check_scores(names: &[String], point: &Point) -> Result<()> {
    let known = vae_scores::names(&point.config);
    let Some(unknown) = names.iter().find(|name| !known.contains(name)) else { return Ok(()) };
    let known = known.join(", ");
    bail!(Error::config(format!("--score {unknown}: there is no such score; {} has {known}", point.name)))
}

/// An error of the configuration, with the point that it belongs to.
fn at(point: &Point, error: &Error) -> Error {
    Error::config(format!("--sweep, {}: {error}", point.name))
}

fn stopped(points: &[Point], grid: &Grid) -> ExitCode {
    eprint_line(&format!(
        "interrupted: {} of {} points are done; run the same command with --out {} to continue",
        grid.done(points),
        points.len(),
        grid.folder.path().display()
    ));
    ExitCode::from(130)
}

fn dry_run(args: &Args, points: &[Point], grid: &Grid) -> Result<ExitCode> {
    if args.json {
        let point = |point: &Point| {
            let mut line = point.line();
            line.insert("done".into(), json!(grid.result(point).is_some()));
            line.insert("effective_beta".into(), number(point.config.effective_beta()));
            line.insert("config".into(), json!(point.config));
            Value::Object(line)
        };
        say!("{}", json!({ "points": points.iter().map(point).collect::<Vec<_>>() }));
        return check_images(points);
    }
    let width = points.iter().map(|point| point.name.len()).max().unwrap_or(0);
    for point in points {
        let done = if grid.result(point).is_some() { ", already done" } else { "" };
        say!("{:width$}  effective β = {}{done}", point.name, point.config.effective_beta());
    }
    say!("\n{} points. Nothing was trained: --dry-run.", points.len());
    check_images(points)
}

/// Returns an error if the images of a point are missing.
fn check_images(points: &[Point]) -> Result<ExitCode> {
    for point in points.iter().filter(|point| !vae_data::files_exist(&point.config)) {
        if let Err(missing) = vae_data::load(&point.config) {
            bail!("{} cannot start: {missing}", point.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The table on stdout and in its files, and the curves.
fn conclude(args: &Args, points: &[Point], grid: &mut Grid, chosen: &Chosen) -> Result<ExitCode> {
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for point in points {
        let Some(line) = grid.result(point) else { continue };
        let (path, mut found) = (grid.path(point), None);
        if line.contains_key("validation") {
            curves.push(Curve::of_validation(&point.name, &epochs(&path)?));
            found = scores(args, point, &path, chosen)?;
        }
        rows.push(Row { line, scores: found });
    }
    let table = SweepTable::new(&rows, &args.score);
    let (table, csv) = (table.markdown(), table.csv());
    let (rows, failed) = (rows.len(), rows.len() - curves.len());
    say!("{table}");
    grid.folder.write("table.md", table.as_bytes())?;
    grid.folder.write("table.csv", csv.as_bytes())?;
    let title = format!("{}: validation, {} runs", points[0].config.name, curves.len());
    let plot = overlay(&title, &curves);
    grid.folder.write("curves.png", &plot.png())?;
    grid.folder.write("curves.svg", plot.svg().as_bytes())?;
    if args.quiet {
        console::print_line(&grid.folder.path().display().to_string());
    }
    say!("{0}/results.jsonl, {0}/table.md, {0}/table.csv, {0}/curves.png", grid.folder.path().display());
    if failed > 0 {
        bail!("{failed} of {rows} points diverged; results.jsonl shows where");
    }
    Ok(ExitCode::SUCCESS)
}
