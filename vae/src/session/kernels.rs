//! Compiles a run's GPU kernels before its first step. One step and one batch of validation run on a device that computes nothing and
//! records their launches.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use gpu::{Context, Recorder};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pollster::block_on;
use tensor::{Accelerator, Device};
use vae_core::config::Config;
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::train::Trainer;

use crate::console::is_quiet;
use crate::say;

/// Compiles on all cores, with a bar on a terminal, and prints how long it took.
pub(super) fn compile(config: &Config, dataset: &Dataset, gpu: &Context) {
    let start = Instant::now();
    let recorder = Arc::new(Recorder::new(gpu.limits()));
    run(config, dataset, Device::Gpu(recorder.clone()));
    let bar = (std::io::stderr().is_terminal() && !is_quiet()).then(|| {
        let style =
            ProgressStyle::with_template("compiling kernels {bar:24} {pos} of {len}").expect("our own template");
        ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style.progress_chars("━╸─"))
    });
    let before = gpu.counters().pipelines;
    block_on(gpu.compile(&recorder.take(), &|done, all| {
        bar.iter().for_each(|bar| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        });
    }));
    bar.iter().for_each(ProgressBar::finish_and_clear);
    let compiled = gpu.counters().pipelines - before;
    say!("  kernels    {compiled} compiled in {:.1} s", start.elapsed().as_secs_f64());
}

/// Two steps, since the first also creates the state of the optimiser, and the validation of a batch. Results are zeros and
/// nobody reads them. An image that cannot be read will be reported when it is needed.
fn run(config: &Config, dataset: &Dataset, device: Device) {
    let mut trainer = Trainer::from_learner(config.clone(), dataset.clone(), learn::build(config), device);
    let places = dataset.train.first(config.images_per_step());
    for _ in 0..2 {
        let _ = block_on(trainer.step(&places, 0.0));
    }
    let places = dataset.validation.first(config.train.batch_size);
    let _ = block_on(trainer.predictor().evaluate(&dataset.validation, &places));
}

#[cfg(test)]
mod tests {
    use gpu::Options;
    use vae_core::config::Settings;

    use super::*;

    /// After the kernels were compiled, steps and a validation compile no other.
    #[test]
    fn a_step_finds_its_kernels_compiled() {
        let mut all =
            vec!["data.image_size=16", "data.limit=20", "train.batch_size=8", "model.kind=basic", "model.widths=4,6"];
        for precision in ["train.precision=f32", "train.precision=f16"] {
            all.push(precision);
            compiled_before(&all);
        }
    }

    fn compiled_before(assignments: &[&str]) {
        let mut settings = Settings::default();
        assignments.iter().for_each(|setting| settings.assignment(setting).unwrap());
        let config = settings.resolve().unwrap();
        let dataset = Dataset::built_in(&config).unwrap();
        let gpu = block_on(Context::open(Options::default())).unwrap();
        compile(&config, &dataset, &gpu);
        let compiled = gpu.counters();
        assert!(compiled.pipelines > 15 && compiled.launches == 0, "{compiled:?}");
        run(&config, &dataset, Device::Gpu(gpu.clone()));
        let after = gpu.counters();
        assert!(after.pipelines == compiled.pipelines && after.launches > 100, "{after:?}");
    }
}
