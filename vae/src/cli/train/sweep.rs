//! `--sweep`: a grid of runs in one folder, as `vae::session::grid` has it, and beside them
//!
//! ```text
//! DIR/table.md           a row a run
//! DIR/curves.png, .svg   validation, one curve a run
//! ```
//!
//! Nothing runs before every point was checked.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use vae_core::Error;
use vae_core::objective::number;
use vae_figures::figure::{Curve, overlay};

use super::args::Args;
use super::download;
use super::folder::run_folder;
use crate::console::{self, eprint_line};
use crate::device;
use crate::say;
use crate::session::grid::{Grid, ResultLine, epochs};
use crate::session::points::{Point, points};
use crate::session::table::{five_digits, markdown_table};
use crate::session::{catch_signals, interrupted, memory};

/// Runs the grid, or shows it.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let points = points(&args.sweep, &args.settings()?)?;
    for point in &points {
        point.config.check().map_err(|error| at(point, &error))?;
    }
    let name = format!("{}-sweep", points[0].config.name);
    let path = run_folder(args.out.as_deref(), &name)?;
    let chosen = device::choose(points[0].config.device, device::start_threads(args.threads)?)?;
    if chosen.computes_in_memory() {
        let available = memory::available();
        points.iter().try_for_each(|point| point.config.check_memory(available).map_err(|error| at(point, &error)))?;
    }
    let mut grid = Grid::prepare(&path, &points)?;
    if args.download {
        points.iter().try_for_each(|point| download::fetch(&point.config))?;
    }
    if args.dry_run {
        dry_run(args, &points, &grid);
        return Ok(ExitCode::SUCCESS);
    }
    catch_signals()?;
    for (i, point) in points.iter().enumerate() {
        let place = format!("point {} of {}: {}", i + 1, points.len(), point.name);
        if grid.result(point).is_some() {
            say!("{place}, already done");
            continue;
        }
        if interrupted() {
            return Ok(stopped(&points, &grid));
        }
        say!("{place}\n");
        if !grid.run(point, &chosen, args.run_options())? {
            return Ok(stopped(&points, &grid));
        }
        say!("");
    }
    conclude(args, &points, &mut grid)
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

fn dry_run(args: &Args, points: &[Point], grid: &Grid) {
    if args.json {
        let point = |point: &Point| {
            let mut line = point.line();
            line.insert("done".into(), json!(grid.result(point).is_some()));
            line.insert("effective_beta".into(), number(point.config.effective_beta()));
            line.insert("config".into(), json!(point.config));
            Value::Object(line)
        };
        return say!("{}", json!({ "points": points.iter().map(point).collect::<Vec<_>>() }));
    }
    let width = points.iter().map(|point| point.name.len()).max().unwrap_or(0);
    for point in points {
        let done = if grid.result(point).is_some() { ", already done" } else { "" };
        say!("{:width$}  effective β = {}{done}", point.name, point.config.effective_beta());
    }
    say!("\n{} points. Nothing was trained: --dry-run.", points.len());
}

/// The table on stdout and in its file, and the curves.
fn conclude(args: &Args, points: &[Point], grid: &mut Grid) -> Result<ExitCode> {
    let rows: Vec<_> = points.iter().filter_map(|point| Some((point, grid.result(point)?))).collect();
    let table = table(&rows);
    let mut curves = Vec::new();
    for (point, _) in rows.iter().filter(|(_, line)| line.contains_key("validation")) {
        curves.push(Curve::of_validation(&point.name, &epochs(&grid.path(point))?));
    }
    let (rows, failed) = (rows.len(), rows.len() - curves.len());
    say!("{table}");
    grid.folder.write("table.md", table.as_bytes())?;
    let title = format!("{}: validation, {} runs", points[0].config.name, curves.len());
    let plot = overlay(&title, &curves);
    grid.folder.write("curves.png", &plot.png())?;
    grid.folder.write("curves.svg", plot.svg().as_bytes())?;
    if args.quiet {
        console::print_line(&grid.folder.path().display().to_string());
    }
    say!("{0}/results.jsonl, {0}/table.md, {0}/curves.png", grid.folder.path().display());
    if failed > 0 {
        bail!("{failed} of {rows} points diverged; results.jsonl shows where");
    }
    Ok(ExitCode::SUCCESS)
}

/// A row a point: its values, its best epoch, that epoch's validation figures, and the seconds of all its epochs.
fn table(rows: &[(&Point, &ResultLine)]) -> String {
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
        let figure = |value: Option<&Value>| value.and_then(Value::as_f64).map_or_else(|| "–".to_owned(), five_digits);
        let best = match line.get("best_epoch") {
            Some(epoch) => format!("{epoch} of {}", line["epochs"]),
            None => "diverged".into(),
        };
        let values = point.settings.iter().map(|(_, value)| value.clone()).chain([best]);
        let measured = figures.iter().map(|name| figure(line.get("validation").and_then(|all| all.get(name))));
        cells.push(values.chain(measured).chain([figure(line.get("seconds"))]).collect());
    }
    markdown_table(&cells)
}
