//! `vae report`: one HTML file about the result of a run, or of several runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use vae_run::loaded;
use vae_scores::Options;

use super::load::{self, LoadOptions, PriorOption, warn_of_changes};
use super::output;
use crate::report::RunReport;
use crate::session::grid::{self, ResultLine};
use crate::session::sweep_table::{Row, SweepTable};
use crate::{report, say};

const EXAMPLES: &str = "\
Examples:
  vae report runs/quickstart-20261121-120000                      report.html in the folder of the run
  vae report runs/quickstart-20261121-120000 --images 10000       score it again, on more images
  vae report grid/beta=1 grid/beta=4 --out beta.html              runs beside each other
  vae report grid                                                 all runs of a sweep, in grid/report.html

A run that was not evaluated is scored first; the scores are kept in its scores.json.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Writes an HTML file about a run, or a comparison of several: verdict, curves, scores, figures, times.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folders of the runs; the folder of a sweep stands for its runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write [default: report.html in the first of the folders]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Score on so many samples, and test images at most, whatever was scored before [default: what was, else 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50_000))]
    images: Option<u32>,
    /// A classifier whose features the Fréchet distance compares: a run's folder or a checkpoint [default: the one inside
    /// the program, for digits]
    #[arg(long, value_name = "RUN")]
    extractor: Option<PathBuf>,
    #[command(flatten)]
    prior: PriorOption,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let again = args.images.is_some() || args.extractor.is_some();
    let options = again.then(|| Options {
        images: args.images.map_or(report::IMAGES, |images| images as usize),
        extractor: args.extractor.clone(),
        inception: None,
        ..Options::default()
    });
    let mut runs = Vec::new();
    let mut sweeps = Vec::new();
    for folder in &args.runs {
        if let Some(swept) = grid::run_folders(folder)? {
            sweeps.push((runs.len(), grid::results(folder)?));
            runs.extend(swept);
        } else {
            runs.push(folder.clone());
        }
    }
    let (chosen, configs) = args.load.configs(&runs)?;
    let mut told = Vec::new();
    let alone = runs.len() == 1;
    for ((run, config), name) in runs.iter().zip(configs).zip(loaded::distinct_names(&runs)) {
        let mut run = load::open(run, config, &chosen)?; // one at a time: each holds its images
        run.name = name;
        args.prior.apply(&mut run)?;
        told.push(report::collect(&run, options.as_ref(), alone)?);
        warn_of_changes(&run);
    }
    let seeds: Vec<_> = sweeps.iter().filter_map(|(first, lines)| over_seeds(lines, &told[*first..])).collect();
    let page = report::page(&told, &seeds);
    let path = args.out.unwrap_or_else(|| args.runs[0].join(report::FILE));
    output::write(&path, page.as_bytes())?;
    for run in &told {
        say!("{}: {}", run.name, run.verdict.sentence);
    }
    say!("{} ({:.1} MB)", path.display(), page.len() as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// The table over seeds of a sweep: its results, and the reports of those of its runs that did not diverge, in the same order.
fn over_seeds(lines: &[ResultLine], told: &[RunReport]) -> Option<Vec<Vec<String>>> {
    let mut reports = told.iter();
    let scores = |line: &ResultLine| match line.contains_key("failed") {
        true => None,
        false => reports.next().map(|run| run.scores.clone()),
    };
    let rows: Vec<Row> =
        lines.iter().zip(lines.iter().map(scores)).map(|(line, scores)| Row { line, scores }).collect();
    let trained = rows.iter().filter(|row| row.scores.is_some()).count();
    SweepTable::new(&rows, &report::first_scores(&told[..trained])).over_seeds()
}
