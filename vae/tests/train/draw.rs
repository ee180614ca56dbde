//! `draw`: pictures of a run that was trained.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::{done, refused, train};

fn draw(dir: &Path, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("draw"));
    command.current_dir(dir).args(words).output().unwrap()
}

/// A run on drawn shapes, in `run`.
fn trained(dir: &Path) {
    let settings = ["data.kind=shapes", "data.images=240", "model.kind=dense", "model.hidden=8", "train.epochs=1"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--device", "cpu", "--out", "run"]).output().unwrap());
}

#[test]
fn two_kinds_are_blended() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let words =
        ["run", "pegasus", "--a", "square", "--b", "heart", "--count", "3", "--negate", "0,2", "--weight", "0.7"];
    let told = done(&draw(dir.path(), &words));
    assert_eq!(told, "3 pairs, 2 of b negated: ./run/pegasus.png\n");
    let picture = image::open(dir.path().join("run/pegasus.png")).unwrap();
    assert!(picture.width() > 300 && picture.height() > 5 * 64);
    let json: Value = serde_json::from_slice(&fs::read(dir.path().join("run/pegasus.json")).unwrap()).unwrap();
    assert_eq!((&json["weight"], json["pairs"].as_array().unwrap().len()), (&0.7.into(), 3));
    assert_eq!([0, 1, 2].map(|i| json["pairs"][i]["negated"].as_bool().unwrap()), [true, false, true]);
    // A folder that is called as a figure is.
    fs::rename(dir.path().join("run"), dir.path().join("pegasus")).unwrap();
    let words = ["pegasus", "pegasus", "--a", "pegasus/samples.png", "--b", "0"];
    assert!(done(&draw(dir.path(), &words)).ends_with("./pegasus/pegasus.png\n"));
    fs::rename(dir.path().join("pegasus"), dir.path().join("run")).unwrap();
    // A picture from anywhere is as good: its own blend with itself.
    let words = ["run", "pegasus", "--a", "run/samples.png", "--b", "0", "--negate", "auto"];
    assert!(done(&draw(dir.path(), &words)).starts_with("1 pair, "));
}

#[test]
fn every_stage_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["model.kind=basic", "model.widths=2,4", "data.limit=64", "train.epochs=1", "device=cpu"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    done(&train(dir.path()).args(settings).args(["--out", "run"]).output().unwrap());
    assert_eq!(done(&draw(dir.path(), &["run", "features", "--image", "832"])), "4 stages: ./run/features.png\n");
    assert!(image::open(dir.path().join("run/features.png")).unwrap().height() > 5 * 64);
    refused(
        &draw(dir.path(), &["run", "features", "--image", "833"]),
        2,
        &["--image 833: the test images are 0 to 832"],
    );
}

#[test]
fn what_cannot_be_drawn_is_told_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    refused(
        &draw(dir.path(), &["nowhere", "pegasus"]),
        1,
        &["nowhere/config.toml", "name a folder that train has left"],
    );
    trained(dir.path());
    refused(&draw(dir.path(), &["run", "pegasus"]), 2, &["there is no class \"horse\" (square, ellipse, heart)"]);
    refused(&draw(dir.path(), &["run", "pegasus", "--weight", "1.5"]), 2, &["--weight", "from 0 to 1"]);
    refused(&draw(dir.path(), &["run", "pegasus", "--negate", "some"]), 2, &["auto, none, all"]);
    refused(&draw(dir.path(), &["run", "winged"]), 2, &["winged"]);
    refused(&draw(dir.path(), &["run", "features"]), 2, &["\"dense\" has no maps to show"]);
    let best = dir.path().join("run/checkpoints/best.safetensors");
    let bytes = fs::read(&best).unwrap();
    fs::write(&best, &bytes[..bytes.len() / 2]).unwrap();
    refused(
        &draw(dir.path(), &["run", "pegasus", "--a", "0", "--b", "1"]),
        1,
        &["best.safetensors", "no whole checkpoint"],
    );
}
