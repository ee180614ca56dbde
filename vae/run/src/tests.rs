//! Small runs for the tests of this crate.

use std::path::Path;

use vae_core::config::{Config, Settings};
use vae_core::data::Dataset;
use vae_core::learn;
use vae_core::train::Trainer;

use crate::{Event, Folder, Outcome, ResumedRun, RunFigures, run};

/// A model of a few numbers, and two epochs of two steps.
pub(crate) fn config(settings: &[&str]) -> Config {
    let mut all = Settings::default();
    let small = ["model.kind=dense", "model.hidden=2", "model.z_dim=2", "data.image_size=16", "data.limit=64"];
    let steps = ["train.batch_size=32", "train.epochs=2"];
    small.iter().chain(&steps).chain(settings).for_each(|setting| all.assignment(setting).unwrap());
    all.resolve().unwrap()
}

pub(crate) fn trainer(config: &Config) -> Trainer {
    let dataset = Dataset::built_in(config).unwrap();
    Trainer::from_learner(config.clone(), dataset, learn::build(config), tensor::Device::Cpu)
}

/// Starts or resumes the run in a folder, and passes what it reports to `told`, which says whether to go on.
pub(crate) fn train(config: &Config, path: &Path, told: &mut dyn FnMut(Event) -> bool) -> Outcome {
    let resumed = path.join("config.toml").exists().then(|| ResumedRun::read(path).unwrap());
    let mut folder = if resumed.is_some() { Folder::open(path) } else { Folder::prepare(path) }.unwrap();
    run(&mut trainer(config), &mut folder, resumed, RunFigures::NONE, told).unwrap()
}

/// Starts or resumes the run in a folder, and stops it after this many steps.
pub(crate) fn train_steps(config: &Config, path: &Path, steps: usize) -> Outcome {
    let mut left = steps;
    train(config, path, &mut |event| {
        left -= usize::from(matches!(event, Event::Step(_)));
        left > 0
    })
}
