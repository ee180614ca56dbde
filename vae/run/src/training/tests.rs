//! The end of a run: the weights that are kept, and what its figures say of them.

use std::fs;

use vae_core::config::Settings;
use vae_core::data::Dataset;
use vae_core::model::build;
use vae_core::train::Timing;

use super::*;
use crate::LoadedRun;
use crate::tests::{config, train, train_steps, trainer};

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

/// So it is if the run was killed, or the disk was full, after the line of an epoch and before its checkpoint.
#[test]
fn weights_have_the_epoch_of_their_checkpoint_also_if_the_log_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&[]);
    train_steps(&config, dir.path(), 3);
    let log = dir.path().join("metrics.jsonl");
    let line = fs::read_to_string(&log).unwrap();
    assert_eq!(line.lines().count(), 1);
    fs::write(&log, format!("{line}{}", line.replace("\"epoch\":1,", "\"epoch\":2,"))).unwrap();
    fs::remove_file(dir.path().join(BEST)).unwrap();
    let loaded = LoadedRun::from_trainer(dir.path(), trainer(&config)).unwrap();
    assert_eq!((loaded.history.len(), loaded.epoch, loaded.steps), (2, 1, 1), "{}", loaded.title());
}

#[test]
fn a_collapse_is_a_kl_below_that_of_one_latent_in_use() {
    let of = |kl| collapsed_kl(&Losses { total: 1.0, parts: vec![("kl", kl)] });
    let below = IN_USE.next_down();
    assert_eq!([of(below), of(IN_USE), collapsed_kl(&Losses::default())], [Some(below), None, None]);
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

/// What `last.safetensors` says while a run trains: before its first step, and at each of its four steps.
fn saved_steps(settings: &[&str]) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    let mut saved = Vec::new();
    train(&config(settings), dir.path(), &mut |event| {
        if let Event::Step(_) = event {
            let (_, meta) = checkpoint::read_with_meta(&dir.path().join(LAST)).unwrap();
            saved.push(meta.unwrap().state().adam);
        }
        true
    });
    saved
}

/// Without a pause, a checkpoint is written before the first epoch and after each. With a pause of no time at all, also after
/// each step.
#[test]
fn checkpoints_within_an_epoch_follow_the_clock() {
    assert_eq!(saved_steps(&["train.checkpoint_minutes=0"]), [0, 0, 2, 2]);
    assert_eq!(saved_steps(&["train.checkpoint_minutes=100"]), [0, 0, 2, 2]);
    assert_eq!(saved_steps(&["train.checkpoint_minutes=1e-9"]), [0, 1, 2, 3]);
}

#[test]
fn steps_are_logged_at_the_interval() {
    for (every, expected) in [(0, None), (1, Some(vec![1, 2, 3, 4])), (3, Some(vec![3]))] {
        let dir = tempfile::tempdir().unwrap();
        train_steps(&config(&[&format!("train.log_steps={every}")]), dir.path(), usize::MAX);
        let text = fs::read_to_string(dir.path().join(STEPS)).ok();
        let steps = text.map(|text| {
            let step = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap();
            text.lines().map(step).collect::<Vec<_>>()
        });
        assert_eq!(steps, expected, "every {every}");
    }
}

/// The clock of a test that waits a tenth of a second at each of four steps, and as long before each validation.
#[test]
fn times_add_up_to_the_duration_of_an_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    train(&config(&[]), dir.path(), &mut |event| {
        let pause = matches!(event, Event::Step(_) | Event::Validating);
        std::thread::sleep(Duration::from_millis(if pause { 100 } else { 0 }));
        match event {
            Event::Step(progress) => events.push(format!("step {}", progress.number)),
            Event::Validating => events.push("validating".into()),
            Event::Epoch(epoch, _) => events.push(format!("epoch {}", epoch.epoch)),
            Event::Warning(words) | Event::Tested(words) => events.push(words),
            Event::Ranks(_) => events.push("ranks".into()),
        }
        true
    });
    events.retain(|words| !words.contains("collapsed"));
    let expected = ["step 1", "step 2", "validating", "epoch 1", "step 3", "step 4", "validating", "epoch 2"];
    assert_eq!(events, expected);
    let timings = Timings::read(dir.path()).unwrap().unwrap();
    let epochs = crate::history(dir.path()).unwrap();
    assert_eq!((timings.epochs.len(), timings.device.as_str()), (2, "cpu"));
    for (times, epoch) in timings.epochs.iter().zip(&epochs) {
        let Timing { other, validation, .. } = times.timing;
        let difference = times.timing.sum() - epoch.seconds;
        assert!(times.epoch == epoch.epoch && difference.abs() < 2e-3, "{difference}"); // seconds are rounded
        assert!(other >= 0.2 && validation >= 0.1 && epoch.seconds >= other + validation - 1e-3, "{times:?}");
        let trained = epoch.seconds - validation; // 64 images in this time
        let images = epoch.images_per_second * trained;
        assert!((images - 64.0).abs() < 1.0, "{images} images");
    }
}

/// The first epoch whose KL is below 0.1 nat is reported, and no later one.
#[test]
fn a_collapse_is_reported_once() {
    let warnings = |settings: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let mut warnings = Vec::new();
        train(&config(settings), dir.path(), &mut |event| {
            if let Event::Warning(words) = event {
                warnings.push(words);
            }
            true
        });
        let kl = |epoch: &Epoch| epoch.train.part("kl").unwrap();
        (warnings, crate::history(dir.path()).unwrap().iter().map(kl).collect::<Vec<f64>>())
    };
    let (collapsed, kls) = warnings(&["train.learning_rate=0.02", "train.epochs=60", "loss.beta=1e6"]);
    let first = kls.iter().position(|&kl| kl < 0.1).unwrap();
    assert!(first > 0 && kls.iter().filter(|&&kl| kl < 0.1).count() > 1, "{kls:?}");
    let start = format!("the KL of epoch {} is {:.3} nats: the posterior has collapsed", first + 1, kls[first]);
    assert!(collapsed.len() == 1 && collapsed[0].starts_with(&start), "{collapsed:?}");
    let hint = "try a smaller loss.beta, loss.schedule = \"linear\", or another seed";
    assert!(collapsed[0].ends_with(hint), "{collapsed:?}");
    let (none, kls) = warnings(&["loss.beta=0"]);
    assert!(none.is_empty() && kls.iter().all(|&kl| kl > 0.1), "{none:?}, {kls:?}");
}

#[test]
fn hints_name_the_keys_of_the_loss() {
    let hint = |settings: &[&str]| hint_against_collapse(&config(settings).loss);
    assert_eq!(hint(&[]), "a smaller loss.beta, loss.schedule = \"linear\", or another seed");
    assert_eq!(hint(&["loss.schedule=linear"]), "a smaller loss.beta, or another seed");
    assert_eq!(hint(&["loss.schedule=capacity"]), "a larger loss.capacity, or another seed");
    let slowly = "loss.schedule = \"linear\", or another seed";
    assert_eq!(hint(&["loss.kind=weighted"]), format!("a smaller loss.k2, {slowly}"));
    assert_eq!(hint(&["loss.kind=iwae"]), "a larger loss.samples, or another seed");
    assert_eq!(hint(&["loss.kind=mmd", "loss.alpha=0.5"]), "a larger loss.alpha, or another seed");
    assert_eq!(hint(&["loss.kind=mmd", "loss.alpha=1"]), "a larger loss.lambda, or another seed");
    assert_eq!(hint(&["loss.kind=tc"]), format!("smaller loss.alpha, loss.beta and loss.gamma, {slowly}"));
    let means = hint(&["loss.reduction=mean"]);
    assert_eq!(means, format!("loss.reduction = \"sum\", a smaller loss.beta, {slowly}"));
}

#[test]
fn the_last_good_weights_are_named_if_there_are_any() {
    let dir = tempfile::tempdir().unwrap();
    let last = dir.path().join(LAST);
    let device = || tensor::Error::Device { device: "a gpu".into(), what: "it is lost".into() };
    let errors = || [Error::Diverged("the loss is NaN".into()), Error::Device(device()), Error::config("wrong")];
    let told = || errors().map(|error| with_last_checkpoint(error, dir.path()).to_string());
    assert_eq!(told(), errors().map(|error| error.to_string()));
    fs::create_dir(last.parent().unwrap()).unwrap();
    fs::write(&last, "").unwrap();
    let words = format!("; the last good weights are in {}", last.display());
    let [diverged, lost, wrong] = errors().map(|error| error.to_string());
    let command = format!("; go on with: train --resume {} --device cpu", dir.path().display());
    assert_eq!(told(), [diverged + &words, lost + &words + &command, wrong]);
}

/// The file repeats the run: it has every key, and the folder of the images does not depend on the working directory.
#[test]
fn the_configuration_is_written_with_every_key() {
    let digits = config(&["data.dir=here"]);
    assert_eq!(with_absolute_paths(&digits), digits, "digits need no files");
    let folder = config(&["data.kind=folder", "data.dir=here", "data.classes=2"]);
    let absolute = with_absolute_paths(&folder);
    let expected = std::env::current_dir().unwrap().join("here");
    assert_eq!(absolute.data.dir, expected.display().to_string());
    assert_eq!(Config { data: folder.data.clone(), ..absolute }, folder);

    let text = config_file(&trainer(&digits));
    assert!(text.starts_with(&format!("{CONFIG_HEAD} {} with every key.", env!("CARGO_PKG_VERSION"))), "{text}");
    let mut settings = Settings::default();
    settings.file(&text, "config.toml").unwrap();
    assert_eq!(settings.resolve().unwrap(), digits);
}

#[test]
fn a_configuration_is_described_in_a_line() {
    let words = describe(&config(&["loss.beta=4", "loss.reduction=mean"]));
    assert!(words.starts_with("digits · dense") && words.contains(", effective β = "), "{words}");
    let classifier = describe(&config(&["model.kind=classifier", "model.width=2"]));
    assert!(classifier.starts_with("digits · classifier") && !classifier.contains('β'), "{classifier}");
    assert_eq!(loss_unit(&config(&[])), "nats per image");
    assert_eq!(loss_unit(&config(&["loss.reduction=mean"])), "loss (means)");
}

/// A run ends with the table of its test images, if it has labels to predict, and with figures of its weights.
#[test]
fn the_end_of_a_run_reports_the_test_images() {
    fn after(_: &Config, epochs: &[Epoch]) -> Vec<RunFile> {
        vec![("curves".into(), epochs.len().to_string().into_bytes())]
    }
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::prepare(dir.path()).unwrap();
    fn weights(_: &Predictor, epochs: usize) -> Result<Vec<RunFile>> {
        Ok(vec![(format!("map/{epochs}"), Vec::new())])
    }
    let figures = RunFigures { after_epoch: after, of_epoch: weights, at_end: named };
    let config = config(&["model.kind=classifier", "model.width=2"]);
    let mut told = Vec::new();
    let outcome = run(&mut trainer(&config), &mut folder, None, figures, &mut |event| {
        if let Event::Tested(words) = event {
            told.push(words);
        }
        true
    });
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    assert!(told.len() == 1 && told[0].starts_with("on the test images: "), "{told:?}");
    let table = fs::read_to_string(dir.path().join("confusion.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 10, "{table}");
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!([read("curves"), read("drawn")], ["2", "epoch 2"]);
    let mut maps: Vec<_> = fs::read_dir(dir.path().join("map")).unwrap().map(|e| e.unwrap().file_name()).collect();
    maps.sort();
    assert_eq!(maps, ["0", "1", "2"]);
}

/// Without early stopping, a resumed run ends with the weights of its last epoch, though it has read those of the best. A log that
/// was not asked for is not created.
#[test]
fn a_resumed_run_without_early_stopping_keeps_its_last_weights() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&["train.learning_rate=1e-30"]); // no epoch after the first is better
    train_steps(&config, dir.path(), 3);
    let resumed = ResumedRun::read(dir.path()).unwrap();
    let mut folder = Folder::open(dir.path()).unwrap();
    let figures = RunFigures { at_end: named, ..RunFigures::NONE };
    let outcome = run(&mut trainer(&config), &mut folder, Some(resumed), figures, &mut |_| true);
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    assert_eq!(fs::read_to_string(dir.path().join("drawn")).unwrap(), "epoch 2");
    assert!(!dir.path().join(STEPS).exists() && dir.path().join(METRICS).exists());
}

/// Stopping is possible after each epoch but the last, with which the run is finished.
#[test]
fn a_run_that_is_stopped_after_its_last_epoch_is_finished() {
    let stopped_after = |last: usize| {
        let dir = tempfile::tempdir().unwrap();
        train(&config(&[]), dir.path(), &mut |event| !matches!(event, Event::Epoch(epoch, _) if epoch.epoch == last))
    };
    assert_eq!([stopped_after(1), stopped_after(2)], [Outcome::Interrupted, Outcome::Finished]);
}

/// A file that cannot be written is reported at once, and named again at the end.
#[test]
fn a_file_that_cannot_be_written_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::prepare(dir.path()).unwrap();
    let mut warnings = Vec::new();
    let outcome = run(&mut trainer(&config(&[])), &mut folder, None, RunFigures::NONE, &mut |event| {
        match event {
            Event::Step(_) => fs::create_dir_all(dir.path().join(BEST)).unwrap(), // a folder of this name
            Event::Warning(words) if words.contains("cannot be written") => warnings.push(words),
            _ => {}
        }
        true
    });
    assert!(warnings.len() == 1 && warnings[0].contains("best.safetensors"), "{warnings:?}");
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("not saved: ") && error.contains("best.safetensors"), "{error}");
}
