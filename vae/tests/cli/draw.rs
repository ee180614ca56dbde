//! `vae draw`: pictures of a run that was trained.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{done, refused, train, vae};

fn draw(dir: &Path, words: &[&str]) -> std::process::Output {
    vae(dir, &[&["draw"], words].concat())
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
    let told = done(&draw(dir.path(), &["run", "features", "--image", "832"]));
    assert!(told.starts_with("./run/features.png: Test image 832 (label ") && told.contains("4 stages"), "{told}");
    assert!(image::open(dir.path().join("run/features.png")).unwrap().height() > 5 * 64);
    refused(
        &draw(dir.path(), &["run", "features", "--image", "833"]),
        2,
        &["--image 833: there is no such test image; test images are 0 to 832"],
    );
}

/// Every figure of a run is there by one word, and by its own name with the same bytes.
#[test]
fn all_figures_are_drawn_and_each_alone_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path());
    let told = done(&draw(dir.path(), &["run", "all"]));
    let names: Vec<&str> = told.lines().filter_map(|line| line.split(['/', ':', ',']).nth(2)).collect();
    let expected = [
        "curves.png",
        "reconstructions.png",
        "samples.png",
        "traversal.png",
        "interpolation.png",
        "scatter.png",
        "kl.png",
        "laplacian.png",
        "noise.png",
    ];
    assert_eq!(names, expected, "{told}");
    let bytes = |name: &str| fs::read(dir.path().join("run").join(name)).unwrap();
    for (figure, files) in [
        ("traversal", &["traversal.png", "traversal.gif"][..]),
        ("kl", &["kl.png", "kl.svg"]),
        ("noise", &["noise.png"]),
        ("curves", &["curves.png", "curves.svg"]),
    ] {
        let before: Vec<Vec<u8>> = files.iter().map(|name| bytes(name)).collect();
        files.iter().for_each(|name| fs::remove_file(dir.path().join("run").join(name)).unwrap());
        done(&draw(dir.path(), &["run", figure, "--threads", "1"]));
        assert!(files.iter().zip(&before).all(|(name, before)| &bytes(name) == before), "{figure}");
    }
    for (words, file) in [
        (&["traversal", "--image", "3"][..], "traversal-3.gif"),
        (&["latent-grid", "--dims", "3,7"], "latent-grid.png"),
        (&["interpolation", "--a", "0,1", "--b", "5,6"], "interpolation.png"),
        (&["reconstructions", "--with", "run", "--count", "5"], "reconstructions-compared.png"),
        (&["curves", "--with", "run"], "curves-compared.svg"),
    ] {
        let told = done(&draw(dir.path(), &[&["run"], words].concat()));
        assert!(told.contains(&format!("run/{file}")) && !bytes(file).is_empty(), "{words:?}: {told}");
    }
}

#[test]
fn a_sweep_s_curves_have_a_panel_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["data.kind=shapes", "data.images=120", "model.kind=dense", "model.hidden=4", "train.epochs=1"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let sweep = ["--sweep", "loss.beta=1,2", "--sweep", "model.z_dim=2,10", "--device", "cpu", "--out", "grid"];
    done(&train(dir.path()).args(settings).args(sweep).output().unwrap());
    assert!(dir.path().join("grid/curves.svg").exists());
    let told = done(&draw(dir.path(), &["grid", "curves", "--by", "loss.beta"]));
    assert!(told.starts_with("./grid/curves-by-beta.png, ./grid/curves-by-beta.svg: 6 panels"), "{told}");
    let svg = fs::read_to_string(dir.path().join("grid/curves-by-beta.svg")).unwrap();
    for words in ["beta=1: total", "beta=2: KL", ">z_dim=2<", ">z_dim=10<", "epoch 1: "] {
        assert!(svg.contains(words), "{words}");
    }
    refused(&draw(dir.path(), &["grid", "curves", "--by", "loss.beth"]), 2, &["--by loss.beth", "no such key"]);
    refused(
        &draw(dir.path(), &["grid", "kl"]),
        2,
        &["grid: contains runs, but is not a run itself; name one of them", "grid/beta=1"],
    );
    refused(&draw(dir.path(), &["nowhere", "curves"]), 1, &["nowhere/config.toml"]);
}

#[test]
fn what_cannot_be_drawn_is_told_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    refused(&draw(dir.path(), &["nowhere", "pegasus"]), 1, &["nowhere/config.toml", "name the folder of a run"]);
    trained(dir.path());
    refused(&draw(dir.path(), &["run", "pegasus"]), 2, &["there is no class \"horse\" (square, ellipse, heart)"]);
    refused(&draw(dir.path(), &["run", "pegasus", "--weight", "1.5"]), 2, &["--weight", "from 0 to 1"]);
    refused(&draw(dir.path(), &["run", "pegasus", "--negate", "some"]), 2, &["auto, none, all"]);
    refused(&draw(dir.path(), &["run", "winged"]), 2, &["winged"]);
    refused(&draw(dir.path(), &["run", "features"]), 2, &["\"dense\" has no feature maps to show"]);
    refused(&draw(dir.path(), &["run", "tsne"]), 2, &["test images, and there are 20"]);
    refused(&draw(dir.path(), &["run", "latent-grid"]), 2, &["16 latents", "--dims"]);
    refused(&draw(dir.path(), &["run", "scatter", "--dims", "1"]), 2, &["two latents, such as 3,7"]);
    refused(&draw(dir.path(), &["run", "interpolation", "--a", "1"]), 2, &["--b"]);
    refused(
        &draw(dir.path(), &["run", "traversal", "--image", "20"]),
        2,
        &["--image 20: there is no such test image; test images are 0 to 19"],
    );
    refused(&draw(dir.path(), &["run", "reconstructions", "--with", "away"]), 1, &["away/config.toml"]);
    let best = dir.path().join("run/checkpoints/best.safetensors");
    let bytes = fs::read(&best).unwrap();
    fs::write(&best, &bytes[..bytes.len() / 2]).unwrap();
    refused(
        &draw(dir.path(), &["run", "pegasus", "--a", "0", "--b", "1"]),
        1,
        &["best.safetensors", "not a complete checkpoint"],
    );
}
