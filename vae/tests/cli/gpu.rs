//! The `train` command on a GPU: the same run as on the CPU, and one line where there is none. Wants a Vulkan adapter, a
//! software one will do; `./test` installs one.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused};

fn train(dir: &Path, environment: &[(&str, &str)], args: &[&str]) -> Output {
    crate::train(dir).envs(environment.iter().copied()).args(args).output().unwrap()
}

fn lines(file: &Path) -> Vec<Value> {
    fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn close(a: &Value, b: &Value, tolerance: f64) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() <= tolerance * b.abs(), "{a} on the GPU, {b} on the CPU: more than {tolerance} apart");
}

/// Enough steps to cross a reading of the GPU's losses (sixteen at a time), and an epoch that ends between two: 18 steps an
/// epoch, and as few images to validate on, since a software GPU is slow.
const RUN: &[&str] = &[
    "--set",
    "data.kind=shapes",
    "--set",
    "data.images=86",
    "--set",
    "data.image_size=16",
    "--set",
    "model.width=2",
    "--set",
    "model.z_dim=4",
    "--set",
    "train.batch_size=4",
    "--set",
    "train.epochs=2",
    "--set",
    "train.log_steps=1",
    "--set",
    "train.clip=500",
];

#[test]
fn a_gpu_s_run_is_the_cpu_s() {
    let dir = tempfile::tempdir().unwrap();
    for device in ["gpu", "cpu"] {
        let output = train(dir.path(), &[], &[RUN, &["--device", device, "--out", device]].concat());
        let (said, errors) = (done(&output), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(&format!("  device     {device}")), "{said}");
        assert!(!errors.contains("XDG_RUNTIME_DIR"), "{errors}");
    }
    let [gpu, cpu] = ["gpu", "cpu"].map(|device| dir.path().join(device));
    let [gpu_steps, cpu_steps] = [&gpu, &cpu].map(|run| lines(&run.join("steps.jsonl")));
    assert_eq!((gpu_steps.len(), cpu_steps.len()), (36, 36));
    for (i, (gpu, cpu)) in gpu_steps.iter().zip(&cpu_steps).enumerate() {
        assert_eq!((&gpu["step"], &gpu["step"]), (&Value::from(i + 1), &cpu["step"]));
    }
    // Before the first step the weights are the same, and after it nearly. Then the runs part: each device rounds in its own way,
    // and Adam divides a gradient by its size, so that where the gradient is 0 but for rounding, rounding decides on a whole step.
    for (step, tolerance) in [(0, 1e-4), (1, 1e-3)] {
        for key in ["total", "reconstruction", "kl"] {
            close(&gpu_steps[step][key], &cpu_steps[step][key], tolerance);
        }
    }
    for run in [&gpu, &cpu] {
        let loss = |losses: &Value| losses["total"].as_f64().unwrap();
        let (steps, epochs) = (lines(&run.join("steps.jsonl")), lines(&run.join("metrics.jsonl")));
        let [first, second] = [0, 1].map(|epoch| [&epochs[epoch]["train"], &epochs[epoch]["validation"]].map(loss));
        assert!(first[0] < loss(&steps[0]) && second[0] < first[0], "{} does not fall in training", run.display());
        assert!(second[1] < first[1], "{} does not fall in validation", run.display());
        // Every step is counted once: an epoch's loss is the mean of its steps', which are of as many images each.
        for (epoch, steps) in epochs.iter().zip(steps.chunks(18)) {
            let mean = steps.iter().map(loss).sum::<f64>() / 18.0;
            assert!((mean - loss(&epoch["train"])).abs() < 1e-9 * mean, "{epoch}: the mean of its steps is {mean}");
        }
    }
    for file in ["checkpoints/best.safetensors", "curves.png", "reconstructions.png", "samples.png"] {
        assert!(gpu.join(file).exists(), "{file} is missing");
    }
    assert!(fs::read_to_string(gpu.join("config.toml")).unwrap().contains("device = \"gpu\""));
}

#[test]
fn a_gpu_that_is_not_there_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = [("VAE_GPU", "no such adapter")];
    let output = train(dir.path(), &nowhere, &["--device", "gpu", "--out", "run"]);
    refused(&output, 1, &["VAE_GPU=no such adapter"]);
    assert!(!dir.path().join("run").exists(), "nothing was begun");

    // `auto` goes on without, and says so.
    let output = train(dir.path(), &nowhere, &["--dry-run"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(said.contains("  device     cpu") && said.contains("(auto: no "), "{said}");
}

/// A run that diverges on a GPU, between two readings, names the step and the tensor as one on the CPU does.
#[test]
fn divergence_on_a_gpu_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let wild = ["--set", "train.learning_rate=1e30"];
    for device in ["gpu", "cpu"] {
        let output = train(dir.path(), &[], &[RUN, &wild, &["--device", device, "--out", device]].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("is not finite at step 2, so the run has diverged"), "on {device}: {errors}");
        let steps = lines(&dir.path().join(device).join("steps.jsonl"));
        assert_eq!(steps.len(), 1, "the steps before are told");
    }
}

/// Feature maps of f16 change losses by their rounding. A run that was stopped goes on with its loss scale, bit for bit.
#[test]
fn a_run_in_f16_learns_as_one_in_f32_and_resumes_exactly() {
    let dir = tempfile::tempdir().unwrap();
    // Without batch norm, which magnifies the rounding of the four images of a batch.
    let basic: &[&str] = &["--set", "model.kind=basic", "--set", "model.widths=4,6"];
    let run = |out: &str, more: &[&str]| {
        let output = train(dir.path(), &[], &[RUN, basic, &["--no-report", "--out", out], more].concat());
        done(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    let f16: &[&str] = &["--device", "gpu", "--set", "train.precision=f16"];
    run("f32", &["--device", "gpu"]);
    run("f16", f16);
    run("parts", &[f16, &["--set", "train.epochs=1"]].concat());
    done(&train(dir.path(), &[], &["--resume", "parts", "--set", "train.epochs=2"]));

    let [f32_steps, f16_steps, parts] =
        ["f32", "f16", "parts"].map(|out| lines(&dir.path().join(out).join("steps.jsonl")));
    assert_ne!(f16_steps, f32_steps, "f16 was not used");
    close(&f16_steps[0]["total"], &f32_steps[0]["total"], 1e-3);
    close(&f16_steps[35]["total"], &f32_steps[35]["total"], 3e-2);
    assert_eq!(f16_steps, parts);
    let [whole, parts] =
        ["f16", "parts"].map(|out| fs::read(dir.path().join(out).join("checkpoints/last.safetensors")));
    let (whole, parts) = (whole.unwrap(), parts.unwrap());
    assert!(whole == parts, "the resumed run has other weights");
    assert!(String::from_utf8_lossy(&whole).contains(r#"\"loss_scale\":["#), "the checkpoint has no loss scale");

    // The CPU computes the run in f32 and says so.
    let warning = run("cpu", &["--device", "cpu", "--set", "train.precision=f16", "--set", "train.epochs=1"]);
    assert!(warning.contains("train.precision = \"f16\": cpu has only f32"), "{warning}");
    let on_cpu = lines(&dir.path().join("cpu").join("steps.jsonl"));
    close(&on_cpu[0]["total"], &f32_steps[0]["total"], 1e-4);
}

/// The fastest choice is kept, and later runs on the same GPU use it.
#[test]
fn tuning_is_kept_for_later_runs() {
    let dir = tempfile::tempdir().unwrap();
    let cache = [("XDG_CACHE_HOME", "cache")];
    let small: &[&str] = &["--device", "gpu", "--limit", "8", "--set", "train.batch_size=8", "--set", "train.epochs=1"];
    let run = |more: &[&str]| train(dir.path(), &cache, &[RUN, small, &["--no-report"], more].concat());
    let said = done(&run(&["--tune", "--out", "first"]));
    let choices = said
        .lines()
        .filter_map(|line| line.strip_prefix("the fastest: ").or(line.strip_prefix("  "))?.split_once(" ms  "));
    let choices: Vec<(f64, &str)> = choices.map(|(ms, choice)| (ms.trim().parse().unwrap(), choice)).collect();
    let (fastest, timed) = choices.split_last().unwrap();
    assert!(timed.len() == 6 && timed.iter().all(|(ms, _)| *ms >= fastest.0), "{said}");
    assert!((0..6).all(|i| timed[..i].iter().all(|(_, earlier)| *earlier != timed[i].1)), "timed twice: {said}");
    let kept = fs::read_to_string(dir.path().join("cache/vae/tuned-gpus.txt")).unwrap();
    assert!(kept.lines().count() == 1 && kept.contains("; registers="), "{kept}");
    for said in [said, done(&run(&["--out", "second"]))] {
        let device = said.lines().find(|line| line.starts_with("  device  ")).unwrap();
        assert!(device.contains(", tuned"), "{device}");
    }
    let refused_for = |args: &[&str], words: &[&str]| refused(&train(dir.path(), &cache, args), 2, words);
    refused_for(&["--device", "cpu", "--tune"], &["--tune is for a GPU"]);
}
