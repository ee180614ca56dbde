//! `vae fit-prior`, and drawing from what it fits.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{done, refused, train, vae};

/// A run of a second on 240 drawn shapes of 16 pixels.
fn trained(dir: &Path, out: &str, settings: &[&str]) {
    let small = ["data.kind=shapes", "data.images=240", "data.image_size=16", "train.epochs=1"];
    let settings = small.iter().chain(settings).flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--device", "cpu", "--no-report", "--out", out]).output().unwrap());
}

const FSQ: [&str; 3] = ["model.kind=fsq", "model.widths=4,4", "model.levels=3,2"];
const SMALL: [&str; 8] =
    ["--set", "prior.width=8", "--set", "prior.heads=2", "--set", "prior.epochs=2", "--set", "prior.batch_size=50"];

fn fit(dir: &Path, words: &[&str]) -> std::process::Output {
    vae(dir, &[&["fit-prior"], words, &SMALL].concat())
}

#[test]
fn a_prior_of_codes_is_fitted_and_drawn_from() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &FSQ);
    refused(&vae(dir, &["draw", "run", "samples"]), 2, &["fsq", "vae fit-prior"]);
    let sample = |words: &[&str], place: &str| {
        let output = vae(dir, &[&["sample", "run", "-n", "3", "--png", place], words].concat());
        done(&output);
        (fs::read(dir.join(place).join("00002.png")).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, told) = sample(&[], "before");
    assert!(told.contains("independently at each position"), "{told}");

    let output = fit(dir, &["run"]);
    let told = done(&output);
    assert!(told.starts_with("transformer prior of 16 codes of 6, ") && told.contains("200 images\n"), "{told}");
    assert!(told.contains("nats per code on 20 validation images") && told.contains("uniform ones 1.7918"), "{told}");
    let progress = String::from_utf8(output.stderr).unwrap();
    assert_eq!(progress.lines().filter(|line| line.starts_with("epoch ")).count(), 2, "{progress}");
    let file = dir.join("run/checkpoints/prior-transformer.safetensors");
    let bytes = fs::read(&file).unwrap();

    // It is used from now on, with the run's seed or another.
    let (one, told) = sample(&[], "one");
    assert_eq!((&one, told.as_str()), (&sample(&["--seed", "1"], "same").0, ""));
    assert!((2..6).any(|seed| sample(&["--seed", &seed.to_string()], &format!("other{seed}")).0 != one));
    let told = done(&vae(dir, &["draw", "run", "samples"]));
    assert!(told.contains("96 images decoded from random draws of the prior"), "{told}");
    assert!(sample(&["--prior", "standard"], "plain").1.contains("independently"));
    done(&vae(dir, &["evaluate", "run", "--images", "20"]));
    let scores: Value = serde_json::from_slice(&fs::read(dir.join("run/scores.json")).unwrap()).unwrap();
    let score = |name: &str| scores["scores"].as_array().unwrap().iter().find(|score| score["name"] == name).cloned();
    let nats = score("latent_nll").unwrap();
    assert!(nats["value"].as_f64().unwrap() > 0.0 && nats["of"].as_str().unwrap().contains("transformer"), "{nats}");
    assert!(score("codebook_use").unwrap()["value"].as_f64().unwrap() > 0.0);
    done(&vae(dir, &["report", "run"]));

    // The same fit writes the same bytes, whether anew or because nothing is left to do. Another seed does not.
    done(&fit(dir, &["run"]));
    assert!(fs::read(&file).unwrap() == bytes);
    done(&fit(dir, &["run", "--again", "--threads", "1"]));
    assert!(fs::read(&file).unwrap() == bytes);
    done(&fit(dir, &["run", "--seed", "9"]));
    assert!(fs::read(&file).unwrap() != bytes);
}

#[test]
fn a_prior_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &FSQ);
    trained(dir, "vae", &["model.kind=dense", "model.hidden=8", "model.z_dim=3"]);
    trained(dir, "classifier", &["model.kind=classifier", "model.width=2"]);
    refused(&fit(dir, &["vae", "--prior", "transformer"]), 2, &["\"dense\" has no codes"]);
    refused(&fit(dir, &["classifier"]), 2, &["\"classifier\""]);
    refused(&fit(dir, &["run", "--prior", "standard"]), 2, &["nothing to fit"]);
    refused(&fit(dir, &["run", "--prior", "none"]), 2, &["--prior", "transformer"]);
    refused(&fit(dir, &["run", "--set", "model.z_dim=3"]), 2, &["only keys of [prior]"]);
    refused(&fit(dir, &["run", "--set", "prior.heads=3"]), 2, &["prior.heads = 3", "prior.width = 8"]);
    let sample = |words: &[&str]| vae(dir, &[&["sample", "run", "--png", "x"], words].concat());
    refused(&sample(&["--prior", "transformer"]), 2, &["has no such prior", "vae fit-prior run"]);
    done(&fit(dir, &["run"]));
    refused(&sample(&["--temperature", "0.5"]), 2, &["--temperature", "transformer"]);

    // Of other weights, and damaged: a warning, and an error for a person who asked for it.
    let file = dir.join("run/checkpoints/prior-transformer.safetensors");
    trained(dir, "other", &[&FSQ[..], &["seed=2"]].concat());
    fs::copy(&file, dir.join("other/checkpoints/prior-transformer.safetensors")).unwrap();
    let stale = vae(dir, &["sample", "other", "--png", "stale"]);
    done(&stale);
    assert!(String::from_utf8(stale.stderr).unwrap().contains("was fitted to other weights"));
    let asked = vae(dir, &["sample", "other", "--prior", "transformer", "--png", "x"]);
    assert!(asked.status.code() == Some(1));
    fs::write(&file, &fs::read(&file).unwrap()[..500]).unwrap();
    let damaged = sample(&["--prior", "transformer"]);
    assert!(damaged.status.code() == Some(1) && String::from_utf8(damaged.stderr).unwrap().contains("--again"));
    done(&fit(dir, &["run", "--again"]));
    assert!(!dir.join("x").exists());
}
