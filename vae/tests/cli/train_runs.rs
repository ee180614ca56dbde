//! Runs of `train`: the files that they leave, what decides their numbers, divergence, and interruption.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::train::{TINY, folder, output};
use crate::{done, process, refused};

/// The lines of a metrics file without its times.
fn losses(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        for key in ["seconds", "images_per_second"] {
            assert!(line.as_object_mut().unwrap().remove(key).unwrap().as_f64().unwrap() > 0.0);
        }
    }
    lines
}

#[test]
fn a_run_leaves_everything_and_its_configuration_repeats_it() {
    let dir = folder();
    let first = [TINY, &["--out", "a", "--set", "train.log_steps=1", "--set", "train.batch_size=24"]].concat();
    let told = done(&output(dir.path(), &first));
    for words in ["cpu", "digits: 64 training", "resnet18", "effective β = 1", "Adam", "epoch 1/1", "samples.png"] {
        assert!(told.contains(words), "{words} is not in: {told}");
    }
    let files: &[&str] = &[
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "config.toml",
        "curves.png",
        "curves.svg",
        "image_hashes.safetensors",
        "metrics.jsonl",
        "reconstructions.png",
        "report.html",
        "samples.png",
        "scores.json",
        "steps.jsonl",
        "timing.json",
    ];
    let mut found: Vec<PathBuf> = ["a", "a/checkpoints"]
        .iter()
        .flat_map(|folder| fs::read_dir(dir.path().join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    assert_eq!(found, files.iter().map(|name| dir.path().join("a").join(name)).collect::<Vec<_>>());
    for name in files.iter().filter(|name| name.ends_with(".png")) {
        assert_eq!(&fs::read(dir.path().join("a").join(name)).unwrap()[1..4], b"PNG");
    }

    let metrics = losses(&dir.path().join("a"));
    let line = &metrics[0];
    assert_eq!((metrics.len(), &line["epoch"], &line["learning_rate"]), (1, &1.into(), &1e-3.into()));
    for part in ["train", "validation"] {
        let [total, reconstruction, kl] =
            ["total", "reconstruction", "kl"].map(|key| line[part][key].as_f64().unwrap());
        assert!((total - reconstruction - kl).abs() < 1e-9 * total && kl >= 0.0, "{line}");
    }
    assert_eq!(line["validation"]["kl_per_dim"].as_array().unwrap().len(), 3);
    assert!((0.0..1.0).contains(&line["validation"]["mse"].as_f64().unwrap()));
    let steps = fs::read_to_string(dir.path().join("a/steps.jsonl")).unwrap();
    let steps: Vec<Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mean =
        steps.iter().zip([24.0, 24.0, 16.0]).map(|(step, n)| step["total"].as_f64().unwrap() * n).sum::<f64>() / 64.0;
    assert!((mean - line["train"]["total"].as_f64().unwrap()).abs() < 1e-9, "images count, not batches");

    done(&output(dir.path(), &["--recipe", "a/config.toml", "--out", "b"]));
    assert_eq!(losses(&dir.path().join("b")), metrics);
    let toml = |run: &str| fs::read_to_string(dir.path().join(run).join("config.toml")).unwrap();
    assert_eq!(toml("a"), toml("b"));

    refused(&output(dir.path(), &["--recipe", "a/config.toml", "--out", "a"]), 2, &["contains a run already", "--out"]);
    let from_a = |out, more: &[&str]| {
        let args = ["--recipe", "a/config.toml", "--init", "a/checkpoints/last.safetensors", "--out", out];
        output(dir.path(), &[&args, more].concat())
    };
    done(&from_a("c", &[]));
    let total = |line: &Value| line["train"]["total"].as_f64().unwrap();
    assert!(total(&losses(&dir.path().join("c"))[0]) < total(line), "it went on from where it was");
    refused(
        &from_a("d", &["--set", "model.width=3"]),
        1,
        &["last.safetensors", "another model", "encoder.conv1.weight"],
    );
    let bytes = fs::read(dir.path().join("a/checkpoints/last.safetensors")).unwrap();
    fs::write(dir.path().join("half"), &bytes[..bytes.len() / 2]).unwrap();
    refused(
        &output(dir.path(), &["--recipe", "a/config.toml", "--out", "d", "--init", "half"]),
        1,
        &["half", "not a complete checkpoint"],
    );
    assert!(!dir.path().join("d").exists());
}

#[test]
fn losses_do_not_depend_on_threads_but_on_the_seed() {
    let dir = folder();
    let run = |out: &str, args: &[&str]| {
        done(&output(dir.path(), &[TINY, &["--out", out], args].concat()));
        losses(&dir.path().join(out))
    };
    let one = run("1", &["--threads", "1"]);
    assert_eq!(run("2", &["--threads", "2"]), one);
    assert_eq!(run("3", &["--threads", "3"]), one);
    assert_ne!(run("other", &["--seed", "2"]), one);
}

#[test]
fn without_out_the_folder_is_named_after_recipe_and_time() {
    let dir = folder();
    done(&output(dir.path(), &[TINY, &["--set", "name=small"]].concat()));
    let runs: Vec<_> = fs::read_dir(dir.path().join("runs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let name = runs[0].to_str().unwrap();
    assert!(runs.len() == 1 && name.starts_with("small-20") && name.len() == "small-20261121-120000".len(), "{name}");
}

#[test]
fn divergence_stops_the_run_and_keeps_the_last_good_weights() {
    let dir = folder();
    let args = [&TINY[..6], &["--out", "run", "--set", "train.learning_rate=1e30", "--set", "train.epochs=3"]].concat();
    refused(&output(dir.path(), &args), 1, &["is not finite at step", "train.learning_rate"]);
}

#[test]
fn weights_that_the_last_step_spoiled_are_never_kept() {
    // One step: what it did to the weights shows in validation alone.
    let dir = folder();
    let args = [&TINY[..6], &["--out", "run", "--set", "train.learning_rate=1e30", "--set", "train.epochs=1"]].concat();
    refused(&output(dir.path(), &args), 1, &["the validation loss is not finite", "train.learning_rate"]);
    assert!(!dir.path().join("run/checkpoints/best.safetensors").exists());
    let told = done(&output(dir.path(), &["--resume", "run", "--dry-run"]));
    assert!(told.contains("Nothing was trained"), "the checkpoint is that of the beginning: {told}");
}

#[test]
fn every_so_many_steps_of_the_run_are_logged() {
    let dir = folder();
    let args =
        [TINY, &["--set", "train.batch_size=16", "--set", "train.epochs=3", "--set", "train.log_steps=5"]].concat();
    done(&output(dir.path(), &[&args[..], &["--out", "run"]].concat()));
    let lines = fs::read_to_string(dir.path().join("run/steps.jsonl")).unwrap();
    let steps: Vec<_> =
        lines.lines().map(|line| line.split("\"step\":").nth(1).unwrap().split(',').next().unwrap()).collect();
    assert_eq!(steps, ["5", "10"], "three epochs of four steps");
}

#[test]
fn a_run_that_began_from_a_checkpoint_says_so_and_repeats() {
    let dir = folder();
    done(&output(dir.path(), &[TINY, &["--out", "first"]].concat()));
    let from = ["--init", "first/checkpoints/last.safetensors", "--out", "second"];
    done(&output(dir.path(), &[TINY, &from].concat()));
    done(&output(dir.path(), &["--recipe", "second/config.toml", "--out", "third"]));
    let read = |run: &str| fs::read(dir.path().join(run).join("checkpoints/last.safetensors")).unwrap();
    let losses = |run: &str| {
        let line = fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap();
        line.split("\"learning_rate\"").next().unwrap().to_owned()
    };
    assert_ne!(losses("first"), losses("second"), "it goes on from where the first ended");
    assert_eq!((losses("second"), read("second")), (losses("third"), read("third")));
}

#[test]
fn a_dry_run_sees_that_the_folder_is_taken() {
    let dir = folder();
    done(&output(dir.path(), &[TINY, &["--out", "run"]].concat()));
    refused(&output(dir.path(), &[TINY, &["--out", "run", "--dry-run"]].concat()), 2, &["contains a run already"]);
    done(&output(dir.path(), &[TINY, &["--out", "new", "--dry-run"]].concat()));
    assert!(!dir.path().join("new").exists());
}

#[test]
fn a_collapsed_posterior_is_warned_of_once() {
    let dir = folder();
    let args = [&TINY[..6], &["--out", "run", "--set", "loss.beta=1e6", "--set", "train.epochs=12"]].concat();
    let output = output(dir.path(), &args);
    done(&output);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.matches("has collapsed").count(), 1, "{errors}");
    assert!(errors.contains("loss.beta"), "{errors}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_its_weights_and_says_130() {
    let dir = folder();
    for signal in ["-INT", "-TERM"] {
        let mut command = process("train", dir.path());
        let args = ["--set", "model.width=2", "--set", "train.epochs=1000", "--out", signal.trim_start_matches('-')];
        let silent = std::process::Stdio::null;
        let mut child = command.args(args).stdout(silent()).stderr(silent()).spawn().unwrap();
        let run = dir.path().join(signal.trim_start_matches('-'));
        let start = Instant::now();
        while !run.join("config.toml").exists() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        for name in ["checkpoints/last.safetensors", "reconstructions.png", "samples.png"] {
            assert!(run.join(name).exists(), "{name}");
        }
    }
}
