//! `vae info`: what a checkpoint, another safetensors file or a NumPy file contains, and which GPUs there are.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use gpu::{Context, Options};
use pollster::block_on;
use serde_json::{Value, json};
use tensor::Device;
use vae_run::info;

use crate::gpu_check::{self, Checked};
use crate::say;

/// A test runs every line that starts with `  vae info`.
const EXAMPLES: &str = "\
Examples:
  vae info runs/quickstart                                     a run: its configuration, epochs, best loss, and the best checkpoint
  vae info runs/quickstart --tensors                           the same with every tensor
  vae info runs/quickstart/checkpoints/last.safetensors        a checkpoint; any other safetensors as well
  vae info codes.npz --json                                    what encode wrote, or any .npz or .npy
  vae info --gpu                                               the GPUs of this machine

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Describes a run, a checkpoint, another safetensors file, NumPy arrays, or this machine's GPUs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A run's folder, a checkpoint or other safetensors, an .npz or .npy
    #[arg(required_unless_present = "gpu")]
    file: Option<PathBuf>,
    /// List the GPUs of this machine instead, in the order in which --device gpu prefers them
    #[arg(long, conflicts_with_all = ["file", "tensors"])]
    gpu: bool,
    /// Also compute every operation on the first GPU and compare the results with the CPU's
    #[arg(long, requires = "gpu")]
    check: bool,
    /// List every tensor of a checkpoint
    #[arg(long)]
    tensors: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let Some(file) = &args.file else { return gpus(&args) };
    let info = info::read(file)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&info)?);
    } else if args.tensors {
        say!("{info:#}");
    } else {
        say!("{info}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists the GPUs, and checks the first one if that is asked for.
fn gpus(args: &Args) -> Result<ExitCode> {
    let all = block_on(gpu::adapters());
    let checked = match args.check {
        true => Some(check()?),
        false => None,
    };
    if args.json {
        let gpus: Vec<Value> = all.iter().map(described).collect();
        let wrong = |(name, difference): &(&str, f32)| json!({ "operation": name, "difference": difference });
        let found = checked.as_ref().map(|(name, checked)| {
            let wrong: Vec<Value> = checked.wrong.iter().map(wrong).collect();
            json!({ "gpu": name, "operations": checked.operations, "wrong": wrong, "seconds": checked.took.as_secs_f64() })
        });
        say!("{}", serde_json::to_string_pretty(&json!({ "gpus": gpus, "check": found }))?);
    } else {
        if all.is_empty() {
            say!("no GPU adapter found; install a Vulkan driver (Debian: mesa-vulkan-drivers, a software one)");
        }
        for gpu in &all {
            say!("{gpu}");
            if !gpu.driver.is_empty() {
                say!("  driver: {}", gpu.driver);
            }
            say!("  buffers of up to {} MiB, {} in a kernel", gpu.buffer_bytes >> 20, gpu.buffers);
            if gpu.f16 {
                say!("  stores f16, for train.precision = \"f16\"");
            }
            match &gpu.lacks {
                Some(lacks) => say!("  cannot be used: {lacks}"),
                None if gpu.software => {
                    say!("  usable with --device gpu; slower than the CPU, because it is a program on the CPU")
                }
                None => say!("  usable with --device gpu"),
            }
        }
        if let Some((name, Checked { operations, wrong, took })) = &checked {
            for (operation, difference) in wrong {
                say!("wrong: {operation} differs from the CPU by {difference:.1e} of the largest number");
            }
            let right = operations - wrong.len();
            say!(
                "{name}: {right} of {operations} kinds of operations equal the CPU's, checked in {:.1} s",
                took.as_secs_f64()
            );
        }
    }
    let wrong = checked.is_some_and(|(_, checked)| !checked.wrong.is_empty());
    Ok(if wrong || all.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Checks the GPU that `--device gpu` would use.
fn check() -> Result<(String, Checked)> {
    let context = block_on(Context::open(Options::default()))?;
    let name = context.adapter().name.clone();
    Ok((name, gpu_check::check(&Device::Gpu(context))?))
}

fn described(gpu: &gpu::Adapter) -> Value {
    json!({
        "name": gpu.name, "backend": gpu.backend, "driver": gpu.driver, "software": gpu.software,
        "buffer_bytes": gpu.buffer_bytes, "buffers": gpu.buffers, "f16": gpu.f16, "usable": gpu.lacks.is_none(), "reason": gpu.lacks,
    })
}
