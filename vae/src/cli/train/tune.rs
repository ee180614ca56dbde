//! `vae train --tune`: prints the times of the choices of [`gpu_tune`] and remembers the fastest.

use gpu::{Context, Options, Tuning};
use pollster::block_on;
use vae_core::config::DeviceChoice;
use vae_core::{Error, Result};

use crate::console::warn;
use crate::gpu_tune::{self, Timed};
use crate::say;

/// Times the choices on the GPU that a run on `device` uses. `place` is the number of that GPU.
pub(super) fn run(device: DeviceChoice, place: usize) -> Result<()> {
    if device == DeviceChoice::Cpu {
        return Err(Error::config("--tune is for a GPU; add --device gpu or leave it out"));
    }
    let options = Options { software: device == DeviceChoice::Gpu, place, ..Options::default() };
    let gpu = block_on(Context::open(options)).map_err(Error::Device)?;
    say!("tuning {}: layers of a ResNet-18, forward and backward", gpu.adapter());
    let timed =
        gpu_tune::tune(options, gpu.tuning(), &mut |timed| say!("  {}", words(timed))).map_err(Error::Device)?;
    let fastest = timed[0];
    say!("the fastest: {}\n", words(&fastest));
    let kept = gpu_tune::record().map(|record| gpu_tune::remember(gpu.adapter(), fastest.tuning, &record));
    match kept {
        Some(Ok(())) => {}
        Some(Err(error)) => warn(&format!("the choice cannot be kept for later runs: {error}")),
        None => warn(
            "the choice cannot be kept for later runs, since this user has no folder for caches; set XDG_CACHE_HOME",
        ),
    }
    Ok(())
}

fn words(Timed { tuning, seconds }: &Timed) -> String {
    let Tuning { registers, target_workgroups, winograd } = tuning;
    let algorithm = if *winograd { "Winograd" } else { "direct" };
    format!(
        "{:8.1} ms  {registers:>3} sums an invocation, {target_workgroups:>4} workgroups, {algorithm}",
        1e3 * seconds
    )
}
