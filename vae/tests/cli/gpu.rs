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

/// Enough steps to cross a reading of the GPU's losses (sixteen at a time), and an epoch that ends between two.
const RUN: &[&str] = &[
    "--limit",
    "144",
    "--set",
    "model.width=4",
    "--set",
    "model.z_dim=4",
    "--set",
    "data.image_size=16",
    "--set",
    "train.batch_size=8",
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
    for key in ["total", "reconstruction", "kl"] {
        close(&gpu_steps[0][key], &cpu_steps[0][key], 1e-4);
    }
    for (i, (gpu, cpu)) in gpu_steps.iter().zip(&cpu_steps).enumerate() {
        assert_eq!((&gpu["step"], &gpu["step"]), (&Value::from(i + 1), &cpu["step"]));
    }
    let [gpu_epochs, cpu_epochs] = [&gpu, &cpu].map(|run| lines(&run.join("metrics.jsonl")));
    close(&gpu_epochs[0]["train"]["total"], &cpu_epochs[0]["train"]["total"], 0.01);
    close(&gpu_epochs[0]["validation"]["total"], &cpu_epochs[0]["validation"]["total"], 0.02);
    for file in ["checkpoints/best.safetensors", "curves.png", "reconstructions.png", "samples.png"] {
        assert!(gpu.join(file).exists(), "{file} is missing");
    }
    assert!(fs::read_to_string(gpu.join("config.toml")).unwrap().contains("device = \"gpu\""));
}

#[test]
fn every_model_begins_on_a_gpu_as_on_the_cpu() {
    let small = ["--limit", "16", "--set", "model.z_dim=4", "--set", "data.image_size=16"];
    let short = ["--set", "train.batch_size=16", "--set", "train.epochs=1", "--set", "train.log_steps=1"];
    for (kind, width) in
        [("dense", "hidden=8"), ("basic", "widths=4,6"), ("conv3", "widths=4,6,8"), ("skip", "width=4")]
    {
        let dir = tempfile::tempdir().unwrap();
        let [kind, width] = [format!("model.kind={kind}"), format!("model.{width}")];
        let model = ["--set", kind.as_str(), "--set", width.as_str()];
        let first = ["gpu", "cpu"].map(|device| {
            let output =
                train(dir.path(), &[], &[&small[..], &short, &model, &["--device", device, "--out", device]].concat());
            done(&output);
            lines(&dir.path().join(device).join("steps.jsonl")).swap_remove(0)
        });
        close(&first[0]["total"], &first[1]["total"], 1e-4);
        close(&first[0]["kl"], &first[1]["kl"], 1e-4);
    }
}

#[test]
fn every_loss_begins_on_a_gpu_as_on_the_cpu() {
    let short =
        ["--limit", "40", "--set", "train.batch_size=16", "--set", "train.epochs=1", "--set", "train.log_steps=1"];
    let model = ["--set", "model.kind=dense", "--set", "model.hidden=8", "--set", "model.z_dim=4"];
    for (kind, other) in [
        ("tc", "loss.estimator=batch"),
        ("tc", "loss.estimator=mss"),
        ("weighted", "loss.schedule=free-bits"),
        ("beta", "loss.schedule=capacity"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let kind = format!("loss.kind={kind}");
        let loss = ["--set", kind.as_str(), "--set", other];
        let first = ["gpu", "cpu"].map(|device| {
            let output =
                train(dir.path(), &[], &[&short[..], &model, &loss, &["--device", device, "--out", device]].concat());
            done(&output);
            lines(&dir.path().join(device).join("steps.jsonl")).swap_remove(0)
        });
        let cpu = first[1].as_object().unwrap();
        assert!(cpu.len() >= 7, "{cpu:?}");
        for (key, value) in cpu {
            // Small terms are differences of large ones.
            let tolerance = if ["mi", "tc", "dw_kl"].contains(&key.as_str()) { 1e-2 } else { 1e-4 };
            close(&first[0][key], value, tolerance);
        }
    }
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
        assert!(errors.contains("is not finite at step 2: the run has diverged"), "on {device}: {errors}");
        let steps = lines(&dir.path().join(device).join("steps.jsonl"));
        assert_eq!(steps.len(), 1, "the steps before are told");
    }
}
