//! The command line, and the runs that it names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use vae::command::{self, Where};
use vae::run::Folder;
use vae::score::Options;
use vae::{Error, report, say, trained};

const EXAMPLES: &str = "\
Examples:
  report runs/quickstart-20261121-120000                      report.html in the folder of the run
  report runs/quickstart-20261121-120000 --images 10000       score it again, on more images
  report grid/beta=1 grid/beta=4 --out beta.html              runs beside each other

A run that was not evaluated is scored on the way: what comes of it is kept in its scores.json.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Writes what came of a run, or of several beside each other, as one HTML file: verdict, curves, scores, figures, times.
#[derive(Debug, Parser)]
#[command(name = "report", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The folders of the runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The file to write [default: report.html in the folder of the first run]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Score on so many samples, and test images at most, whatever was scored before [default: what was, else 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: Option<u32>,
    /// A classifier whose features the Fréchet distance compares: a run's folder or a checkpoint [default: the one inside
    /// the program, for digits]
    #[arg(long, value_name = "RUN")]
    extractor: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    let again = cli.images.is_some() || cli.extractor.is_some();
    let options = again.then(|| Options {
        images: cli.images.map_or(report::IMAGES, |images| images as usize),
        extractor: cli.extractor.clone(),
        inception: None,
    });
    let (chosen, configs) = cli.place.configured(&cli.runs)?;
    let mut told = Vec::new();
    let alone = cli.runs.len() == 1;
    for ((run, config), name) in cli.runs.iter().zip(configs).zip(trained::names(&cli.runs)) {
        let mut run = trained::open(run, config, chosen.device.clone())?; // one at a time: each holds its images
        run.name = name;
        told.push(report::tell(&run, options.as_ref(), alone)?);
    }
    let page = report::page(&told);
    let path = cli.out.unwrap_or_else(|| cli.runs[0].join(report::FILE));
    let file = path.file_name().and_then(|name| name.to_str());
    let name = file.ok_or_else(|| Error::config(format!("--out {}: is no name of a file", path.display())))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Folder::of_run(folder).write(name, page.as_bytes())?;
    for run in &told {
        say!("{}: {}", run.name, run.verdict.sentence);
    }
    say!("{} ({:.1} MB)", path.display(), page.len() as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}
