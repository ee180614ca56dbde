//! The drawn data set through the `train` command, with all that happens to training images: what is told, what is refused,
//! and that the thread that prepares batches changes no number.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused};

const SHAPES: &[&str] = &["data.kind=shapes", "data.images=96", "data.image_size=32", "data.rotations=8"];

fn train(dir: &Path, settings: &[&str], more: &[&str]) -> Output {
    let settings = SHAPES.iter().chain(settings).flat_map(|setting| ["--set", setting]);
    crate::train(dir).args(settings).args(more).output().unwrap()
}

#[test]
fn noisy_and_moved_shapes_train_alike_on_any_threads_and_again_from_their_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let changed =
        ["data.augment=flip-crop", "data.noise_std=0.2", "data.noise_fraction=0.5", "data.noise_target=clean"];
    let small = ["model.width=2", "model.z_dim=3", "train.epochs=2", "train.batch_size=16"];
    let losses = |settings: &[&str], out: &str, more: &[&str]| {
        let settings = [&small[..], settings].concat();
        let output = train(dir.path(), &settings, &[more, &["--device", "cpu", "--out", out]].concat());
        done(&output);
        let told = fs::read_to_string(dir.path().join(out).join("metrics.jsonl")).unwrap();
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["train"].clone()).collect::<Vec<_>>()
    };
    let one = losses(&changed, "1", &["--threads", "1"]);
    assert_eq!(losses(&changed, "3", &["--threads", "3"]), one);
    assert_ne!(losses(&changed[1..], "still", &["--threads", "1"]), one);
    assert_ne!(losses(&changed[..3], "noisy", &["--threads", "1"]), one, "what is to be given back matters");
    assert_eq!(losses(&[], "again", &["--recipe", "1/config.toml"]), one, "the file holds every key");
}

#[test]
fn a_dry_run_tells_how_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let output = train(dir.path(), &["data.channels=3"], &["--dry-run", "--json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let data = &plan["data"];
    assert_eq!(["train", "validation", "test"].map(|split| data[split].as_u64()), [Some(80), Some(8), Some(8)]);
    assert!(data["found"].as_bool().unwrap() && data["seconds"].as_f64().unwrap() >= 0.0, "{data}");
    assert_eq!(plan["config"]["data"]["rotations"], 8);
}

#[test]
fn nonsense_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, says) in [
        ("data.noise_std=-1", "data.noise_std = -1"),
        ("data.noise_fraction=2", "0 to 1"),
        ("data.augment=flop", "flip-crop"),
        ("data.rotations=0", "1 to 360"),
        ("data.kind=mnist", "only data.kind = \"shapes\""),
    ] {
        refused(&train(dir.path(), &[setting], &[]), 2, &[says]);
    }
}
