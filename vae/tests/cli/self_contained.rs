//! A run owns what it needs. Its model is used without its images, from any folder, and on changed images it answers as
//! before. Changed images are noticed.

use std::fs;
use std::path::Path;
use std::process::Output;

use image::{Rgb, RgbImage};

use crate::{done, refused, train, vae, without_warnings};

const SMALL: &[&str] = &[
    "model.kind=dense",
    "model.hidden=8",
    "model.z_dim=3",
    "data.kind=folder",
    "data.dir=pictures",
    "data.image_size=16",
    "data.normalise=standard",
    "model.output=linear",
    "loss.reconstruction=sse",
    "train.batch_size=8",
];

/// Adds pictures with these numbers to the folder `pictures`.
fn add_pictures(dir: &Path, numbers: std::ops::Range<u32>) {
    fs::create_dir_all(dir.join("pictures/all")).unwrap();
    for i in numbers {
        let shade = |x: u32, y: u32| Rgb([(i * 37 % 256) as u8, (x * 9 + i) as u8, (y * 11) as u8]);
        RgbImage::from_fn(20, 20, shade).save(dir.join(format!("pictures/all/{i:03}.png"))).unwrap();
    }
}

fn run(dir: &Path, words: &[&str]) -> Output {
    let settings = SMALL.iter().flat_map(|setting| ["--set", setting]);
    train(dir).args(settings).args(["--device", "cpu", "--no-report"]).args(words).output().unwrap()
}

fn errors(output: Output) -> String {
    done(&output);
    String::from_utf8(without_warnings(output).stderr).unwrap()
}

/// The arrays that `vae encode` writes for one picture.
fn encoded(dir: &Path, run: &str, out: &str) -> Vec<u8> {
    let output = vae(dir, &["encode", run, "one.png", "--out", out]);
    assert_eq!(errors(output), "");
    fs::read(dir.join(out)).unwrap()
}

#[test]
fn a_model_is_used_without_its_images_and_answers_as_before_when_they_change() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, elsewhere) = (dir.path(), elsewhere.path());
    add_pictures(dir, 0..60);
    done(&run(dir, &["--set", "train.epochs=1", "--out", "run"]));
    for to in [dir, elsewhere] {
        fs::copy(dir.join("pictures/all/003.png"), to.join("one.png")).unwrap();
    }
    let before = encoded(dir, "run", "before.npz");

    // From another working directory, the run finds its images and its scores have no warning.
    let path = dir.join("run").display().to_string();
    assert_eq!(errors(vae(elsewhere, &["evaluate", &path])), "");

    // More pictures: the mean and the deviation are those of the training, and scores warn.
    add_pictures(dir, 60..160);
    assert!(encoded(dir, "run", "after.npz") == before, "the same picture has another code");
    let warned = errors(vae(dir, &["evaluate", "run"]));
    assert!(warned.contains("warning: run: the images have changed since the training"), "{warned}");
    assert!(warned.contains("train: 50 images, now 134 (") && warned.contains("test: 5 images, now 13 ("), "{warned}");
    assert!(warned.contains("that the model was trained on (all/"), "{warned}");
    for words in [&["encode", "run", "test", "--out", "test.npz"][..], &["draw", "run", "reconstructions"]] {
        let warned = errors(vae(dir, words));
        assert!(warned.contains("have changed since the training: train: 50 images, now 134"), "{words:?}: {warned}");
    }

    // Another machine: only the folder of the run.
    fs::rename(dir.join("run"), elsewhere.join("run")).unwrap();
    fs::remove_dir_all(dir.join("pictures")).unwrap();
    assert!(encoded(elsewhere, "run", "codes.npz") == before, "the same picture has another code");
    for words in [
        &["sample", "run", "-n", "4", "--png", "samples"][..],
        &["decode", "run", "codes.npz", "--png", "decoded"],
        &["reconstruct", "run", "one.png", "--png", "reconstructed"],
        &["draw", "run", "samples"],
        &["draw", "run", "kl"],
        &["export", "run", "--out", "model.safetensors"],
        &["info", "run"],
    ] {
        assert_eq!(errors(vae(elsewhere, words)), "", "{words:?}");
    }
    for words in [&["encode", "run", "test", "--out", "no.npz"][..], &["evaluate", "run"], &["report", "run"]] {
        refused(&vae(elsewhere, words), 1, &["pictures: cannot be read", "--data-dir"]);
    }
    add_pictures(elsewhere, 0..60);
    assert_eq!(errors(vae(elsewhere, &["evaluate", "run", "--data-dir", "pictures"])), "");
}

/// An earlier fit is of the latents of other images, although they are as many.
#[test]
fn a_prior_is_fitted_again_if_the_images_have_changed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    add_pictures(dir, 0..60);
    done(&run(dir, &["--set", "train.epochs=1", "--out", "run"]));
    let fit = || {
        let flow = ["--prior", "flow", "--set", "prior.epochs=1", "--set", "prior.width=8"];
        let fitted = vae(dir, &[&["fit-prior", "run"], &flow[..]].concat());
        done(&fitted);
        String::from_utf8(fitted.stderr).unwrap().contains("epoch 1/1")
    };
    assert!(fit() && !fit(), "the second time there is nothing left to do");
    fs::remove_dir_all(dir.join("pictures")).unwrap();
    add_pictures(dir, 60..120);
    assert!(fit(), "the fit of the old images was taken for one of the new");
}

#[test]
fn a_resumed_run_refuses_changed_images_unless_they_are_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    add_pictures(dir, 0..60);
    done(&run(dir, &["--set", "train.epochs=2", "--out", "whole"]));
    for name in ["same", "other"] {
        done(&run(dir, &["--set", "train.epochs=1", "--out", name]));
    }
    let resume = |name: &str, flags: &[&str]| {
        train(dir).args(["--resume", name, "--set", "train.epochs=2", "--no-report"]).args(flags).output().unwrap()
    };
    let last = |name: &str| fs::read(dir.join(name).join("checkpoints/last.safetensors")).unwrap();
    let before = last("other");
    add_pictures(dir, 60..62);
    let words =
        ["other: the images are not those that this run was trained on: ", "images, now ", "--allow-changed-data"];
    refused(&resume("other", &[]), 2, &words);
    assert!(last("other") == before, "a refused run has changed");

    let warned = errors(resume("other", &["--allow-changed-data"]));
    assert!(warned.contains("warning: the run continues with other images: train: 50 images, now 52 ("), "{warned}");
    // From now on, these images are the run's. Those of before still count as trained on.
    assert_eq!(errors(vae(dir, &["evaluate", "other"])), "");

    // With the images of before, the run ends as if it had never been interrupted, wherever it is resumed.
    (60..62).for_each(|i| fs::remove_file(dir.join(format!("pictures/all/{i:03}.png"))).unwrap());
    assert_eq!(errors(resume("same", &[])), "");
    assert!(last("same") == last("whole"), "resuming gives other weights");
    let warned = errors(vae(dir, &["evaluate", "other"]));
    assert!(warned.contains("test: ") && warned.contains("that the model was trained on"), "{warned}");
}

/// The fixture is a run of the version before, whose checkpoints have format 1. It was made by
///
/// ```text
/// train --device cpu --no-report --out format_1 --set model.kind=dense --set model.hidden=1 --set model.z_dim=1
///     --set data.image_size=8 --set data.limit=64 --set data.normalise=standard --set model.output=linear
///     --set loss.reconstruction=sse --set train.epochs=1
/// ```
#[test]
fn a_run_of_the_version_before_is_used_and_resumed_with_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format_1");
    fs::create_dir_all(dir.join("run/checkpoints")).unwrap();
    for name in ["config.toml", "metrics.jsonl", "checkpoints/best.safetensors", "checkpoints/last.safetensors"] {
        fs::copy(fixture.join(name), dir.join("run").join(name)).unwrap();
    }
    for words in [
        &["sample", "run", "-n", "2", "--png", "samples"][..],
        &["encode", "run", "test", "--out", "codes.npz"],
        &["evaluate", "run"],
        &["export", "run", "--out", "model.safetensors"],
    ] {
        let warned = errors(vae(dir, words));
        assert!(
            warned.starts_with("warning: run/checkpoints/best.safetensors: written by an older version"),
            "{warned}"
        );
    }
    let output = train(dir).args(["--resume", "run", "--set", "train.epochs=2", "--no-report"]).output().unwrap();
    assert!(errors(output).starts_with("warning: run/checkpoints/last.safetensors: written by an older version"));
    assert_eq!(errors(vae(dir, &["sample", "run", "-n", "2", "--png", "again"])), "", "it has the new format now");
}
