//! The end of a run: the weights that are kept, and what its figures say of them.

use std::fs;

use vae_core::config::Settings;
use vae_core::data::Dataset;
use vae_core::model::build;

use super::*;
use crate::LoadedRun;

/// A figure that is only the words for its weights.
fn named(_: &Predictor, _: &Dataset, weights: &str) -> Result<Vec<RunFile>> {
    Ok(vec![("drawn".into(), weights.into())])
}

/// Two epochs of two steps, interrupted after each of their steps. A figure of a run that was interrupted inside an epoch shows
/// weights that are later than those of the last complete one.
#[test]
fn figures_of_an_interrupted_run_name_the_steps_of_their_weights() {
    let mut settings = Settings::default();
    let small = ["model.kind=dense", "model.hidden=2", "data.image_size=16", "data.limit=64", "train.batch_size=32"];
    small.iter().chain(&["train.epochs=2"]).for_each(|setting| settings.assignment(setting).unwrap());
    let config = settings.resolve().unwrap();
    for (steps, words) in [(1, "after 1 step of epoch 1"), (3, "after 1 step of epoch 2"), (5, "epoch 2")] {
        let (dataset, model) = (Dataset::built_in(&config).unwrap(), build(&config));
        let mut trainer = Trainer::new(config.clone(), dataset, model, tensor::Device::Cpu);
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let figures = RunFigures { at_end: named, ..RunFigures::NONE };
        let mut left = steps;
        let mut more = |event: Event| {
            left -= i32::from(matches!(event, Event::Step(_)));
            left > 0
        };
        run(&mut trainer, &mut folder, None, figures, &mut more).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("drawn")).unwrap(), words);
        let loaded = LoadedRun::from_trainer(dir.path(), trainer).unwrap();
        let title = loaded.title();
        // The best weights are those of an epoch, once there is one.
        let known = if steps == 1 { words } else { "epoch " };
        assert!(title.contains(known) && (steps == 1) == title.contains("step"), "{title}");
    }
}

/// Early stopping never fires, but the weights at the end are those of the best epoch.
#[test]
fn the_final_figures_name_the_epoch_of_their_weights() {
    let mut epochs = Vec::new();
    for patience in ["train.early_stopping=20", "train.early_stopping=0"] {
        let mut settings = Settings::default();
        let small = ["model.width=2", "model.z_dim=3", "data.image_size=16", "data.limit=64", "train.batch_size=32"];
        // With so large a learning rate, the loss is 25 after the first epoch and thousands after the last.
        let spoiled = ["train.epochs=8", "train.learning_rate=0.05", "seed=1", patience];
        small.iter().chain(&spoiled).for_each(|setting| settings.assignment(setting).unwrap());
        let config = settings.resolve().unwrap();
        let (dataset, model) = (Dataset::built_in(&config).unwrap(), build(&config));
        let mut trainer = Trainer::new(config, dataset, model, tensor::Device::Cpu);
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::prepare(dir.path()).unwrap();
        let figures = RunFigures { at_end: named, ..RunFigures::NONE };
        let mut losses = Vec::new();
        let outcome = run(&mut trainer, &mut folder, None, figures, &mut |event| {
            if let Event::Epoch(epoch, _) = event {
                losses.push(epoch.validation.losses.total);
            }
            true
        });
        assert_eq!(outcome.unwrap(), Outcome::Finished);
        let drawn = fs::read_to_string(dir.path().join("drawn")).unwrap();
        let drawn: usize = drawn.strip_prefix("epoch ").unwrap().parse().unwrap();
        assert_eq!(block_on(trainer.validate()).unwrap().losses.total, losses[drawn - 1], "{losses:?}");
        epochs.push(drawn);
    }
    assert!(epochs[0] < 8 && epochs[1] == 8, "the best epoch, and without early stopping the last: {epochs:?}");
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    // With so large a learning rate, the weights become worse again after a few epochs.
    let mut settings = Settings::default();
    for setting in [
        "model.width=2",
        "model.z_dim=3",
        "data.image_size=16",
        "data.limit=64",
        "train.batch_size=32",
        "train.epochs=60",
        "train.learning_rate=0.3",
        "train.early_stopping=2",
    ] {
        settings.assignment(setting).unwrap();
    }
    let config = settings.resolve().unwrap();
    let dataset = Dataset::built_in(&config).unwrap();
    let model = build(&config);
    let mut trainer = Trainer::new(config, dataset, model, tensor::Device::Cpu);
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::prepare(dir.path()).unwrap();
    let mut losses = Vec::new();
    let outcome = run(&mut trainer, &mut folder, None, RunFigures::NONE, &mut |event| {
        if let Event::Epoch(epoch, _) = event {
            losses.push(epoch.validation.losses.total);
        }
        true
    });
    let Outcome::Stopped { after, best } = outcome.unwrap() else { panic!("{losses:?}") };
    assert_eq!((after, losses.len()), (best + 2, after), "{losses:?}");
    assert_eq!(block_on(trainer.validate()).unwrap().losses.total, losses[best - 1]);
    let [best, last] =
        ["best", "last"].map(|name| fs::read(dir.path().join(format!("checkpoints/{name}.safetensors"))).unwrap());
    assert_ne!(best, last);
}
