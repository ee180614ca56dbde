//! `vae sample`: images that a trained model decodes from random latents or random codes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use pollster::block_on;
use vae_core::Error;
use vae_figures::image_folder::ImageFolder;

use super::load::{LoadOptions, PriorOption, RunOrDemo};
use super::output::images;
use crate::console::eprint_line;
use crate::say;

/// A test runs every line that starts with `  vae sample`.
const EXAMPLES: &str = "\
Examples:
  vae sample runs/quickstart -n 16 --png samples               the first are those of the run's samples.png
  vae sample runs/quickstart -n 16 --png tame --seed 7 --temperature 0.7
  vae sample runs/quickstart -n 16 --png plain --prior standard
  vae sample --demo digits-16 -n 16 --png digits               by a trained model inside the program

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Images that are decoded at once, before their pictures are written.
const CHUNK: usize = 1024;

/// Decodes random latents, drawn from N(0, I) or a fitted prior, into new pictures. A vq or fsq model decodes random codes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    run: RunOrDemo,
    /// The number of pictures
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// A folder to make, of pictures 00000.png, 00001.png, …
    #[arg(long, value_name = "DIR")]
    png: PathBuf,
    /// Seed of the draws [default: the run's]
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,
    /// The standard deviation of the draws
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    temperature: f32,
    /// The label that a conditional model shows, a number or a name [default: as many of each label, in turn]
    #[arg(long, value_name = "L")]
    label: Option<String>,
    #[command(flatten)]
    prior: PriorOption,
    #[command(flatten)]
    load: LoadOptions,
}

fn temperature(words: &str) -> Result<f32, String> {
    let number = words.parse().ok().filter(|number: &f32| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "it must be a number, 0 or more".into())
}

fn seed(words: &str) -> Result<u64, String> {
    words.parse().map_err(|_| format!("it must be a whole number from 0 to {}", u64::MAX))
}

/// The number of a label that is given by its number or its name.
fn label(words: &str, classes: usize, names: &[String]) -> Result<usize> {
    let named = names.iter().take(classes).position(|name| name == words);
    if let Some(label) = named.or_else(|| words.parse().ok().filter(|&label| label < classes)) {
        return Ok(label);
    }
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    bail!(Error::config(format!("--label: {words} is not a label; labels are 0 to {}{names}", classes - 1)))
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let mut run = args.run.load(&args.load)?;
    args.prior.apply(&mut run)?;
    let predictor = &run.predictor;
    let (config, shape) = (&predictor.config, predictor.transform.shape());
    let has_codes = config.model.has_codes();
    if !config.model.is_vae() && !has_codes {
        bail!(Error::config(format!("model.kind = \"{}\" cannot draw samples", config.model.kind)));
    }
    let (count, classes) = (args.count as usize, config.condition_classes());
    let labels: Vec<usize> = match &args.label {
        Some(_) if classes == 0 => {
            bail!(Error::config("--label: this model does not use labels (model.conditional = false); leave it out"))
        }
        Some(words) => vec![label(words, classes, run.class_names())?; count],
        None => (0..count).map(|i| i * classes / count).collect(),
    };
    if !predictor.draws_standard_normal() && args.temperature != 1.0 {
        bail!(Error::config(format!(
            "--temperature: it is the standard deviation of draws from N(0, I), and this model draws from {}; leave it out",
            if has_codes { "its codes".into() } else { predictor.prior_words() }
        )));
    }
    let mut image_folder = ImageFolder::new(&args.png, shape)?;
    let seed = args.seed.unwrap_or(config.seed);
    let (z, is_independent) = match block_on(predictor.draw(count, seed))? {
        Some(z) => (z.mul_scalar(args.temperature), false),
        None => (block_on(predictor.draw_codes(count, seed))?.expect("its latents are codes"), true),
    };
    for (labels, first) in labels.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        let pixels = block_on(predictor.decode_drawn(&z.slice(0, first, labels.len()), labels))?;
        image_folder.add(&pixels.expect("this kind of model decodes"))?;
    }
    if is_independent {
        eprint_line(&format!(
            "codes are drawn independently at each position, each with its frequency in training; vae fit-prior {} learns which occur together",
            run.path.display()
        ));
    }
    say!("{}: {}", images(image_folder.finish()?), args.png.display());
    Ok(ExitCode::SUCCESS)
}
