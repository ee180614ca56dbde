//! `vae evaluate`: the scores of a trained run, as a table.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use vae_run::Folder;
use vae_scores::{FILE, Options, Scores};

use super::load::{LoadOptions, PriorOption};
use super::output;
use crate::console::warn;
use crate::say;
use crate::session::Ranks;

/// A test runs every line that starts with `  vae evaluate`.
const EXAMPLES: &str = "\
Examples:
  vae evaluate runs/quickstart                                        a table, and scores.json in the folder of the run
  vae evaluate runs/quickstart --images 512 --json                    fewer images, and JSON on stdout
  vae evaluate runs/quickstart --nll-samples 5000 --nll-images 500    nll of more draws and images (binary or gaussian pixels)
  vae evaluate runs/quickstart --out scores/quickstart.json           another place for the scores
  vae evaluate runs/quickstart --extractor runs/mnist-classifier      Fréchet distance by your own classifier

With --inception FILE the Fréchet distance is that of pytorch-fid: its weights as safetensors, by torchvision's names:
  safetensors.torch.save_file(torch.load(\"pt_inception-2015-12-05-6726825d.pth\"), \"inception.safetensors\")
Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Scores a trained model on test images: losses, reconstructions, samples and latents.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// Samples to draw, and test images to take at most
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(2..=50_000))]
    images: u32,
    /// A classifier whose features the Fréchet distance compares: a run's folder, or a checkpoint [default: for digits one that is inside the program]
    #[arg(long, value_name = "RUN|FILE")]
    extractor: Option<PathBuf>,
    /// Compare features of pytorch-fid's Inception-v3 instead, with these weights
    #[arg(long, value_name = "FILE")]
    inception: Option<PathBuf>,
    /// Draws for each image in the negative log-likelihood, nll
    #[arg(long, value_name = "S", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    nll_samples: u32,
    /// Test images to take at most for the negative log-likelihood
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    nll_images: u32,
    /// The file to write [default: scores.json in the folder of the run]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print scores.json instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    prior: PriorOption,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command in one of the processes that compute the scores together. The first of them prints and writes.
pub(super) fn run(args: Args, ranks: &Ranks) -> Result<ExitCode> {
    let mut run = args.load.load_on(&args.run, ranks)?;
    args.prior.apply(&mut run)?;
    let options = Options {
        images: args.images as usize,
        extractor: args.extractor,
        inception: args.inception,
        nll_samples: args.nll_samples as usize,
        nll_images: args.nll_images as usize,
    };
    vae_run::check_equal_runs(&run, &format!("{options:?} {:?}", args.prior))?;
    let scores = vae_scores::evaluate(&run, &options)?;
    if !ranks.is_first() {
        return Ok(ExitCode::SUCCESS);
    }
    scores.warnings.iter().for_each(|words| warn(words));
    let json = serde_json::to_string_pretty(&scores)?;
    let written = match args.out {
        Some(out) => output::write(&out, format!("{json}\n").as_bytes()).map(|()| Some(out))?,
        // The scores are printed, so they are not lost if the run's folder is read-only.
        None => match scores.write(&mut Folder::open_unlocked(&run.path)) {
            Ok(()) => Some(run.path.join(FILE)),
            Err(error) => {
                warn(&format!("{error}; --out names another file"));
                None
            }
        },
    };
    if args.json {
        say!("{json}");
    } else {
        say!("{}\n\n{}", run.title(), table(&scores));
        written.iter().for_each(|path| say!("{}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// One line per score: name, value, unit, and what it was measured on. Then the scores that could not be computed with the reason,
/// and the estimates that are biased or saturated, also with the reason.
fn table(scores: &Scores) -> String {
    let rows: Vec<[String; 4]> = scores
        .scores
        .iter()
        .map(|score| {
            let of = if score.caveat.is_empty() { &score.of } else { &score.caveat };
            [score.name.clone(), short(score.value), score.unit.clone(), of.clone()]
        })
        .collect();
    let (misleading, rows): (Vec<_>, Vec<_>) =
        rows.into_iter().zip(&scores.scores).partition(|(_, score)| !score.caveat.is_empty());
    let names = scores.missing.iter().map(|missing| &missing.name);
    let all = || rows.iter().chain(&misleading);
    let wide = |column: usize| all().map(|(row, _)| row[column].chars().count()).max().unwrap_or(0);
    let first = names.map(|name| name.chars().count()).max().unwrap_or(0).max(wide(0));
    let (second, third) = (wide(1), wide(2));
    let line =
        |[name, value, unit, of]: &[String; 4]| format!("{name:first$}  {value:>second$}  {unit:third$}  {of}\n");
    let mut text: String = rows.iter().map(|(row, _)| line(row)).collect();
    for missing in &scores.missing {
        text += &format!("{:first$}  {:>second$}  {}\n", missing.name, "–", missing.why);
    }
    if !misleading.is_empty() {
        text += "\nThese estimates are biased or saturated:\n";
        text.extend(misleading.iter().map(|(row, _)| line(row)));
    }
    text
}

/// Five digits, as a person reads them.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !size.is_finite() => value.to_string(),
        size if !(1e-3..1e7).contains(&size) => format!("{value:.3e}"),
        size => format!("{value:.*}", (4 - size.log10().floor() as i32).clamp(0, 6) as usize),
    }
}
