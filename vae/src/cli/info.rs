//! `vae info`: what a checkpoint, another safetensors file or a NumPy file contains.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use vae_run::info;

use crate::say;

/// A test runs every line that starts with `  vae info`.
const EXAMPLES: &str = "\
Examples:
  vae info runs/quickstart                                     a run: its configuration, epochs, best loss, and the best checkpoint
  vae info runs/quickstart --tensors                           the same with every tensor
  vae info runs/quickstart/checkpoints/last.safetensors        a checkpoint; any other safetensors as well
  vae info codes.npz --json                                    what encode wrote, or any .npz or .npy

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Describes a run, a checkpoint, another safetensors file, or NumPy arrays.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A run's folder, a checkpoint or other safetensors, an .npz or .npy
    file: PathBuf,
    /// List every tensor of a checkpoint
    #[arg(long)]
    tensors: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let info = info::read(&args.file)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&info)?);
    } else if args.tensors {
        say!("{info:#}");
    } else {
        say!("{info}");
    }
    Ok(ExitCode::SUCCESS)
}
