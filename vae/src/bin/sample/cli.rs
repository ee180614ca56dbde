//! The command line, and what is done about it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use pollster::block_on;
use vae::album::Album;
use vae::command::{self, Where};
use vae::random::Purpose;
use vae::{Error, say};

/// Every line that starts with `  sample` is run by a test.
const EXAMPLES: &str = "\
Examples:
  sample runs/quickstart -n 16 --png samples               the first are those of the run's samples.png
  sample runs/quickstart -n 16 --png tame --seed 7 --temperature 0.7

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Images that are decoded before their pictures are written.
const TOGETHER: usize = 1024;

/// Decodes draws from N(0, I), a picture each.
#[derive(Debug, Parser)]
#[command(name = "sample", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The folder of the run
    run: PathBuf,
    /// How many
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// A folder to make, of pictures 00000.png, 00001.png, …
    #[arg(long, value_name = "DIR")]
    png: PathBuf,
    /// What the draws depend on [default: the run's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The standard deviation of the draws
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = temperature)]
    temperature: f32,
    /// What a conditional model is told to show [default: as many of each label, in turn]
    #[arg(long, value_name = "L")]
    label: Option<usize>,
    #[command(flatten)]
    place: Where,
}

fn temperature(words: &str) -> Result<f32, String> {
    let number = words.parse().ok().filter(|number: &f32| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "it must be a number, 0 or more".into())
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    let (_, mut runs) = cli.place.open(&[&cli.run])?;
    let trainer = runs.remove(0).trainer;
    let (config, shape) = (&trainer.config, trainer.dataset.transform.shape());
    if !config.model.is_vae() {
        bail!(Error::config(format!("model.kind = \"{}\" gives no images of its own", config.model.kind)));
    }
    let (count, classes) = (cli.count as usize, config.told_classes());
    let labels: Vec<usize> = match cli.label {
        Some(_) if classes == 0 => {
            bail!(Error::config("--label: this model is told none (model.conditional = false); leave it out"))
        }
        Some(label) if label >= classes => {
            bail!(Error::config(format!("--label: {label} is no label: they are 0 to {}", classes - 1)))
        }
        Some(label) => vec![label; count],
        None => (0..count).map(|i| i * classes / count).collect(),
    };
    let mut album = Album::new(&cli.png, shape)?;
    let mut rng = Purpose::Samples.stream(cli.seed.unwrap_or(config.seed), 0);
    let z = rng.normal_tensor([count, config.model.z_dim]).mul_scalar(cli.temperature);
    for (labels, first) in labels.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
        let pixels = block_on(trainer.decode(&z.slice(0, first, labels.len()), labels))?;
        album.add(&pixels.expect("a VAE decodes latents"))?;
    }
    say!("{} images: {}", album.finish()?, cli.png.display());
    Ok(ExitCode::SUCCESS)
}
