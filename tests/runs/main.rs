//! Tests of resumed runs: a run that is stopped after any step and resumed from its folder by another trainer writes the same
//! bytes as one without a stop.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gpu::{Context, Options};
use pollster::block_on;
use tensor::Device;
use vae::config::{Config, Settings};
use vae::data::Dataset;
use vae::learn;
use vae::run::{Event, Folder, Outcome, ResumedRun, RunFigures, run};
use vae::train::Trainer;

/// Epochs of three steps, the last with fewer images, and every option on that has state between steps.
const SMALL: &[&str] = &[
    "data.image_size=16",
    "data.limit=64",
    "train.batch_size=24",
    "train.epochs=3",
    "train.learning_rate=0.02",
    "train.log_steps=2",
    "train.clip=500",
    "data.augment=flip",
    "model.z_dim=3",
];

fn config(settings: &[&[&str]]) -> Config {
    let mut all = Settings::default();
    settings.iter().copied().flatten().for_each(|setting| all.assignment(setting).unwrap());
    let config = all.resolve().unwrap();
    config.check().unwrap();
    config
}

fn trainer(config: &Config, device: &Device) -> Trainer {
    Trainer::from_learner(config.clone(), Dataset::built_in(config).unwrap(), learn::build(config), device.clone())
}

/// Starts or resumes a run and stops it after `steps` more steps.
fn train(config: &Config, device: &Device, path: &Path, steps: usize) -> Outcome {
    let resumed = path.join("config.toml").exists().then(|| ResumedRun::read(path).unwrap());
    resumed.iter().for_each(|resumed| resumed.check(config).unwrap());
    let mut folder = if resumed.is_some() { Folder::open(path) } else { Folder::prepare(path) }.unwrap();
    let mut left = steps;
    let mut tell = |event: Event| {
        if let Event::Step(_) = event {
            left = left.saturating_sub(1);
        }
        left > 0
    };
    run(&mut trainer(config, device), &mut folder, resumed, RunFigures::NONE, &mut tell).unwrap()
}

/// Every file of a run, without its times.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |(name, _): (String, u64)| {
        let bytes = fs::read(path.join(&name)).unwrap();
        if name != "metrics.jsonl" {
            return (name, bytes);
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| line.split(",\"seconds\"").next().unwrap().to_owned() + "\n");
        (name, lines.collect::<String>().into_bytes())
    };
    let files = Folder::open(path).unwrap().files();
    files.into_iter().filter(|(name, _)| name != "timing.json").map(read).collect()
}

/// Stops after every `steps` steps, compares the final files with those of an uninterrupted run, and returns them.
#[track_caller]
fn interrupted_is_uninterrupted(config: &Config, device: &Device, steps: usize) -> BTreeMap<String, Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let end = train(config, device, &whole, usize::MAX);
    assert_ne!(end, Outcome::Interrupted);
    let mut times = 0;
    loop {
        let outcome = train(config, device, &parts, steps);
        times += 1;
        assert!(times < 20, "it does not end");
        if outcome != Outcome::Interrupted {
            assert_eq!(outcome, end);
            break;
        }
    }
    assert!(times > 2, "it was hardly interrupted");
    let (whole, parts) = (files(&whole), files(&parts));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    for (name, bytes) in &whole {
        assert!(*bytes == parts[name], "{name} is another after {times} starts");
    }
    whole
}

#[test]
fn every_kind_of_model_resumes_as_if_it_had_not_stopped() {
    let resnet = &["model.width=2", "train.ema=0.9"][..];
    let stopping =
        &["model.kind=dense", "model.hidden=8", "train.epochs=7", "train.learning_rate=0.3", "train.early_stopping=2"];
    let vq = &["model.kind=vq", "model.widths=4,6", "model.codes=8", "model.code_width=2", "train.ema=0.5"];
    let fsq = &["model.kind=fsq", "model.widths=4,6", "model.levels=4,3", "train.ema=0.5"];
    let ladder = &["model.kind=ladder", "model.width=4", "model.groups=2,1", "model.z_dim=96", "train.ema=0.9"];
    let vamp = &["model.kind=dense", "model.hidden=8", "model.prior=vamp", "model.pseudo_inputs=5"];
    let classifier = &["model.kind=classifier", "model.width=2", "train.schedule=cosine"];
    let rising = &["model.kind=basic", "model.widths=4,6", "loss.schedule=cyclical", "data.noise_std=0.1"];
    let gaussian = "loss.reconstruction=gaussian";
    let optimal = &["model.kind=dense", "model.hidden=8", gaussian, "train.ema=0.9"];
    let learned = &["model.kind=dense", "model.hidden=8", gaussian, "loss.variance=learned"];
    let iwae = &["model.kind=dense", "model.activation=tanh", "loss.kind=iwae", "loss.samples=3", "loss.bounds=2"][..];
    let iwae = &[iwae, &["loss.gradient=dreg", "data.binarise=dynamic"]].concat()[..];
    let dip = &["model.kind=dense", "model.hidden=8", "loss.kind=dip", "train.ema=0.9"];
    let mmd = &["model.kind=dense", "model.hidden=8", "loss.kind=mmd", "loss.alpha=0.5", gaussian];
    let factor =
        &["model.kind=dense", "model.hidden=8", "loss.kind=factor", "loss.gamma=5", "loss.discriminator_rate=0.01"][..];
    let factor = &[factor, &["loss.discriminator_width=8", "train.ema=0.9"]].concat()[..];
    let gan = &[
        "model.kind=dense",
        "model.hidden=8",
        "loss.kind=vae-gan",
        "loss.discriminator_channels=3,4",
        "train.ema=0.9",
    ];
    let intro = &["model.kind=resnet18", "model.width=2", "loss.kind=soft-intro", "loss.beta_neg=8", "train.ema=0.9"];
    let plain = [(resnet, 4), (stopping, 2), (classifier, 4), (rising, 4)];
    let others: [(&[&str], usize); 7] =
        [(vq, 4), (fsq, 3), (vamp, 3), (ladder, 2), (iwae, 2), (optimal, 2), (learned, 2)];
    let on_all_latents: [(&[&str], usize); 3] = [(dip, 4), (mmd, 2), (factor, 2)];
    let with_two_players: [(&[&str], usize); 2] = [(gan, 2), (intro, 3)];
    for (kind, steps) in plain.into_iter().chain(others).chain(on_all_latents).chain(with_two_players) {
        interrupted_is_uninterrupted(&config(&[SMALL, kind]), &Device::Cpu, steps);
    }
}

/// With steps too small to change a weight, no epoch improves, so the learning rate falls after each.
#[test]
fn a_lowered_rate_stays_lowered() {
    let lowered = &["model.kind=dense", "model.hidden=8", "train.epochs=4", "train.learning_rate=1e-30"];
    let plateau = &["train.schedule=plateau", "train.plateau_patience=1"];
    let whole = interrupted_is_uninterrupted(&config(&[SMALL, lowered, plateau]), &Device::Cpu, 2);
    let text = String::from_utf8(whole["metrics.jsonl"].clone()).unwrap();
    let rates: Vec<&str> = text.lines().filter_map(|line| line.split("\"learning_rate\":").nth(1)).collect();
    assert!(rates.len() == 4 && rates[2] != rates[1] && rates[3] != rates[2], "{rates:?}");
}

#[test]
fn the_same_on_a_gpu() {
    let dense = &["model.kind=dense", "model.hidden=8", "train.ema=0.9", "train.epochs=2"];
    let iwae = &["loss.kind=iwae", "loss.samples=3", "loss.gradient=dreg"];
    for more in [&[][..], &["loss.reconstruction=gaussian"], iwae] {
        interrupted_is_uninterrupted(&config(&[SMALL, dense, more]), &reference::place::gpu(), 2);
    }
    let f16 = &["model.kind=basic", "model.widths=3,4", "train.precision=f16", "train.epochs=2"];
    interrupted_is_uninterrupted(&config(&[SMALL, f16]), &reference::place::gpu(), 2);
}

/// A GPU that is lost in the second epoch ends the run with one line, which says how to go on. The weights of the first epoch are
/// still there, and the run goes on with them on the CPU.
#[test]
fn a_lost_device_loses_no_epoch() {
    let config = config(&[SMALL, &["model.kind=dense", "model.hidden=8"]]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let gpu = block_on(Context::open(Options::default())).unwrap();
    let mut steps = 0;
    let mut destroy = |event: Event| {
        if let Event::Step(_) = event {
            steps += 1;
            if steps == 4 {
                gpu.destroy();
            }
        }
        true
    };
    let mut trainer = trainer(&config, &Device::Gpu(gpu.clone()));
    let mut folder = Folder::prepare(&path).unwrap();
    let error = run(&mut trainer, &mut folder, None, RunFigures::NONE, &mut destroy).unwrap_err().to_string();
    drop(folder);
    let command = format!("; go on with: train --resume {} --device cpu", path.display());
    assert!(error.contains("the device was lost") && error.ends_with(&command), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(ResumedRun::read(&path).unwrap().history().len(), 1);
    assert_eq!(train(&config, &Device::Cpu, &path, usize::MAX), Outcome::Finished);
    let files = files(&path);
    assert_eq!(String::from_utf8_lossy(&files["metrics.jsonl"]).lines().count(), 3);
}

/// The best checkpoint contains the weights that were validated.
#[test]
fn with_an_average_the_best_checkpoint_holds_it() {
    let config = config(&[SMALL, &["model.kind=dense", "model.hidden=8", "train.ema=0.9", "train.epochs=1"]]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    train(&config, &Device::Cpu, &path, usize::MAX);
    let [best, last] =
        ["best", "last"].map(|name| fs::read(path.join(format!("checkpoints/{name}.safetensors"))).unwrap());
    let tensors = |bytes: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        file.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect::<BTreeMap<_, _>>()
    };
    let (best, last) = (tensors(&best), tensors(&last));
    for (name, average) in &best {
        assert_eq!(*average, last[&format!("train.ema.{name}")], "{name}");
        assert_ne!(*average, last[name], "{name}");
        assert!([format!("train.adam.m.{name}"), format!("train.adam.v.{name}")].iter().all(|m| last.contains_key(m)));
    }
    assert_eq!(last.len(), 4 * best.len());
}

/// Running statistics are averaged like the weights that they belong to.
#[test]
fn with_an_average_the_best_checkpoint_has_averaged_statistics() {
    let config = config(&[SMALL, &["model.width=2", "train.ema=0.9", "train.epochs=1"]]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    train(&config, &Device::Cpu, &path, usize::MAX);
    let [best, last] =
        ["best", "last"].map(|name| fs::read(path.join(format!("checkpoints/{name}.safetensors"))).unwrap());
    let [best, last] = [&best, &last].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    let statistics: Vec<&str> = best.names().into_iter().filter(|name| name.contains("running_")).collect();
    assert!(statistics.len() > 10, "{statistics:?}");
    for name in statistics {
        let average = best.tensor(name).unwrap();
        assert_eq!(average.data(), last.tensor(&format!("train.ema.{name}")).unwrap().data(), "{name}");
        assert_ne!(average.data(), last.tensor(name).unwrap().data(), "{name}");
    }
}

/// A run without a schedule over its epochs can be extended, and is then the same as a longer run.
#[test]
fn a_finished_run_can_be_extended() {
    let all = |epochs| config(&[SMALL, &["model.kind=dense", "model.hidden=8", epochs]]);
    let (short, long) = (all("train.epochs=1"), all("train.epochs=3"));
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    train(&long, &Device::Cpu, &whole, usize::MAX);
    train(&short, &Device::Cpu, &parts, usize::MAX);
    assert!(ResumedRun::read(&parts).unwrap().is_finished(&short));
    train(&long, &Device::Cpu, &parts, usize::MAX);
    assert!(files(&whole) == files(&parts));
}
