//! The command line, and the run that it names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use vae::command::{self, Where};

use crate::{features, pegasus};

const EXAMPLES: &str = "\
Examples:
  draw runs/pegasus-20261121-120000 pegasus                    white horses, and birds, into winged horses
  draw runs/pegasus-20261121-120000 pegasus --a 3,7 --b my-gull.jpg,heron.png --negate 1 --weight 0.5
  draw runs/quickstart-20261121-120000 features --image 3      what the network sees of a test image, stage by stage

Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Draws what a trained model makes of images, into the folder of its run.
#[derive(Debug, Parser)]
#[command(name = "draw", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The folder of the run
    run: PathBuf,
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Blend two kinds of images, as 0.6·horse + 0.4·bird
    Pegasus(pegasus::Options),
    /// Show four maps of every stage that an image passes through
    Features(features::Options),
}

pub(crate) fn main() -> Result<ExitCode> {
    // A run may lie in a folder that is called as a figure is.
    let words = std::env::args_os().enumerate();
    let words = words
        .map(|(i, word)| if i == 1 && Path::new(&word).is_dir() { Path::new(".").join(word).into() } else { word });
    let Some(cli) = command::parse::<Cli>(words)? else { return Ok(ExitCode::SUCCESS) };
    let (_, mut runs) = cli.place.open(&[cli.run])?;
    let run = runs.remove(0);
    match cli.figure {
        Figure::Pegasus(options) => pegasus::draw(&run, &options)?,
        Figure::Features(options) => features::draw(&run, &options)?,
    }
    Ok(ExitCode::SUCCESS)
}
