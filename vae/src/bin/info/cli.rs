//! The command line, and what is done about it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use vae::{command, info, say};

/// Every line that starts with `  info` is run by a test.
const EXAMPLES: &str = "\
Examples:
  info runs/quickstart                                     a run: its configuration, epochs, best loss, and the best checkpoint
  info runs/quickstart/checkpoints/last.safetensors        a checkpoint; any other safetensors as well
  info codes.npz --json                                    what encode wrote, or any .npz or .npy

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Tells what a file holds.
#[derive(Debug, Parser)]
#[command(name = "info", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// A run's folder, a checkpoint or other safetensors, an .npz or .npy
    file: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    let info = info::read(&cli.file)?;
    if cli.json {
        say!("{}", serde_json::to_string_pretty(&info)?);
    } else {
        say!("{info}");
    }
    Ok(ExitCode::SUCCESS)
}
