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
    vae(dir, &[&["fit-prior"], &SMALL[..], words].concat())
}

#[test]
fn a_prior_of_codes_is_fitted_and_drawn_from() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &FSQ);
    refused(&vae(dir, &["draw", "run", "samples"]), 2, &["fsq", "vae fit-prior"]);
    refused(&vae(dir, &["draw", "run", "priors"]), 2, &["no other prior", "vae fit-prior"]);
    let sample = |words: &[&str], place: &str| {
        let output = vae(dir, &[&["sample", "run", "-n", "3", "--png", place], words].concat());
        done(&output);
        (fs::read(dir.join(place).join("00002.png")).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, told) = sample(&[], "before");
    assert!(told.contains("independently at each position"), "{told}");

    let output = fit(dir, &["run"]);
    let told = done(&output);
    assert!(told.starts_with("transformer prior of 16 codes of 6: ") && told.contains("200 images\n"), "{told}");
    assert!(told.contains("latents of 20 validation images") && told.contains("uniform ones 1.7918"), "{told}");
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
    let told = done(&vae(dir, &["draw", "run", "priors"]));
    assert!(told.contains("in a row: independent codes, transformer."), "{told}");
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
    refused(&fit(dir, &["classifier", "--prior", "maf"]), 2, &["--prior maf", "has no latents"]);
    refused(&fit(dir, &["run", "--prior", "maf"]), 2, &["--prior maf", "the prior of codes is transformer"]);
    refused(&fit(dir, &["run", "--prior", "vae"]), 2, &["--prior vae", "the prior of codes is transformer"]);
    refused(&fit(dir, &["vae", "--prior", "maf", "--set", "prior.blocks=65"]), 2, &["prior.blocks = 65", "1 to 64"]);
    refused(&fit(dir, &["run", "--prior", "standard"]), 2, &["nothing to fit"]);
    refused(&fit(dir, &["run", "--prior", "none"]), 2, &["--prior", "transformer"]);
    refused(&fit(dir, &["run", "--set", "model.z_dim=3"]), 2, &["only keys of [prior]"]);
    refused(&fit(dir, &["run", "--set", "prior.heads=3"]), 2, &["prior.heads = 3", "prior.width = 8"]);
    let sample = |words: &[&str]| vae(dir, &[&["sample", "run", "--png", "x"], words].concat());
    refused(&sample(&["--prior", "transformer"]), 2, &["has no such prior", "vae fit-prior run"]);
    done(&fit(dir, &["run"]));
    refused(&sample(&["--temperature", "0.5"]), 2, &["--temperature", "codes"]);

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

#[test]
fn priors_of_a_vae_are_fitted_drawn_from_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(
        dir,
        "runs/quickstart",
        &[
            "model.kind=dense",
            "model.hidden=8",
            "model.z_dim=3",
            "loss.beta=0",
            "train.epochs=15",
            "train.batch_size=16",
        ],
    );
    let run = "runs/quickstart";
    let fit = |words: &[&str]| vae(dir, &[&["fit-prior", run], words].concat());
    let nats = |told: &str, before: &str| -> f64 {
        told.split(before).nth(1).unwrap().split_whitespace().next().unwrap().trim_end_matches('\n').parse().unwrap()
    };
    let output = fit(&["--set", "prior.components=2"]);
    let told = done(&output);
    assert!(told.starts_with("mixture of 2 Gaussians: −ln p = ") && told.contains("prior-gmm.safetensors"), "{told}");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("iteration 1: "));
    let (of_mixture, standard) = (nats(&told, "−ln p = "), nats(&told, "N(0, I) has "));
    assert!(of_mixture < standard, "{told}");
    let told = done(&fit(&["--prior", "flow", "--set", "prior.epochs=2", "--set", "prior.width=16"]));
    assert!(told.contains("flow of 32 steps: −ln p = ") && told.contains("weights, 200 images\n"), "{told}");
    let small = ["--prior", "maf", "--set", "prior.epochs=2", "--set", "prior.width=16", "--set", "prior.blocks=3"];
    let told = done(&fit(&small));
    assert!(told.starts_with("masked autoregressive flow of 3 blocks: "), "{told}");
    assert!(nats(&told, "−ln p = ") < nats(&told, "N(0, I) has "), "{told}");
    let maf = fs::read(dir.join(run).join("checkpoints/prior-maf.safetensors")).unwrap();
    done(&fit(&[&small[..], &["--again", "--threads", "1"]].concat()));
    assert!(fs::read(dir.join(run).join("checkpoints/prior-maf.safetensors")).unwrap() == maf, "other bits");
    let told = done(&fit(&["--prior", "vae", "--set", "prior.epochs=3", "--set", "prior.width=16"]));
    assert!(told.starts_with("second-stage VAE of 3 latents: ") && told.contains("−ln p = at most "), "{told}");

    let sample = |words: &[&str], place: &str| {
        done(&vae(dir, &[&["sample", run, "-n", "2", "--png", place], words].concat()));
        fs::read(dir.join(place).join("00001.png")).unwrap()
    };
    let plain = sample(&[], "plain");
    assert!(plain == sample(&["--prior", "standard"], "standard"), "a VAE draws from N(0, I) unless told otherwise");
    let drawn = ["gmm", "flow", "maf", "vae"].map(|prior| sample(&["--prior", prior], prior));
    assert!(drawn.iter().all(|image| *image != plain) && (0..4).all(|i| drawn[i] != drawn[(i + 1) % 4]));
    let told = done(&vae(dir, &["draw", run, "priors"]));
    assert!(told.contains("12 samples of each prior in a row: N(0, I), gmm, flow, maf, vae."), "{told}");
    let score_by = |command: &str, words: &[&str]| {
        done(&vae(dir, &[&[command, run, "--images", "20"], words].concat()));
        let scores: Value = serde_json::from_slice(&fs::read(dir.join(run).join("scores.json")).unwrap()).unwrap();
        let all =
            [scores["scores"].as_array().unwrap(), scores["missing"].as_array().unwrap()].map(Clone::clone).concat();
        all.into_iter().find(|score| score["name"] == "latent_nll").unwrap()
    };
    let score = |words: &[&str]| score_by("evaluate", words);
    let [before, after] = [score(&[]), score(&["--prior", "gmm"])];
    let [flow, maf, second] = ["flow", "maf", "vae"].map(|prior| score(&["--prior", prior]));
    assert!(before["of"].as_str().unwrap().ends_with("N(0, I)") && after["of"].as_str().unwrap().contains("mixture"));
    assert!(after["value"].as_f64().unwrap() < before["value"].as_f64().unwrap());
    assert!(maf["of"].as_str().unwrap().ends_with("masked autoregressive flow of 3 blocks"), "{maf}");
    assert!(maf["value"].as_f64().unwrap() < before["value"].as_f64().unwrap());
    assert!(second["of"].as_str().unwrap().ends_with("second-stage VAE of 3 latents, an upper bound"), "{second}");
    assert!(flow["of"].as_str().unwrap().ends_with("flow of 32 steps") && flow["value"].is_f64(), "{flow}");
    // A report does not show the scores of another prior.
    assert_eq!(score_by("report", &["--prior", "gmm"]), after);
    assert_eq!(score_by("report", &[]), before);
    refused(&vae(dir, &["sample", run, "--prior", "transformer", "--png", "x"]), 2, &["\"dense\" has no codes"]);
    refused(&vae(dir, &["sample", run, "--prior", "gmm", "--temperature", "0.5", "--png", "x"]), 2, &["mixture"]);
    refused(&fit(&["--set", "prior.components=201"]), 2, &["prior.components = 201", "200 training images"]);
}

#[test]
fn the_examples_of_the_help_are_fits() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "runs/quickstart", &["model.kind=dense", "model.hidden=8", "model.z_dim=3", "prior.width=8"]);
    trained(dir, "runs/fsq", &[&FSQ[..], &["prior.width=8"]].concat());
    let help = done(&vae(dir, &["fit-prior", "--help"]));
    let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  vae fit-prior ")).collect();
    assert_eq!(examples.len(), 5, "{help}");
    for example in examples {
        let words: Vec<&str> = example.trim().split("  ").next().unwrap().split(' ').skip(1).collect();
        assert!(done(&vae(dir, &words)).contains("checkpoints/prior-"), "{example}");
    }
}

/// A folder in the place of the file, which not even root can write.
#[test]
fn a_prior_that_could_not_be_kept_is_not_fitted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &["model.kind=dense", "model.hidden=8", "model.z_dim=3"]);
    for prior in ["gmm", "flow"] {
        let file = format!("run/checkpoints/prior-{prior}.safetensors");
        let part = dir.join(format!("{file}.part"));
        fs::create_dir(&part).unwrap();
        let output = fit(dir, &["run", "--prior", prior]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("iteration 1") && !errors.contains("epoch 1"), "fitted in vain: {errors}");
        refused(&output, 1, &[&format!("{file}: cannot be written")]);
        fs::remove_dir(&part).unwrap();
        done(&fit(dir, &["run", "--prior", prior]));
    }
}

#[test]
fn a_vampprior_is_trained_drawn_from_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let vamp = ["model.kind=dense", "model.hidden=8", "model.z_dim=3", "model.prior=vamp", "model.pseudo_inputs=7"];
    trained(dir, "run", &[&vamp[..], &["loss.reconstruction=gaussian"]].concat());
    done(&vae(dir, &["sample", "run", "-n", "2", "--png", "samples"]));
    done(&vae(dir, &["fit-prior", "run", "--set", "prior.components=2"]));
    let told = done(&vae(dir, &["draw", "run", "priors"]));
    assert!(told.contains("in a row: VampPrior of 7 pseudo-inputs, gmm."), "{told}");
    done(&vae(dir, &["evaluate", "run", "--images", "20", "--nll-images", "3", "--nll-samples", "10"]));
    let scores = fs::read_to_string(dir.join("run/scores.json")).unwrap();
    assert!(scores.contains("3 test images, 10 draws each, p(z) is the VampPrior of 7 pseudo-inputs"), "{scores}");
    done(&vae(dir, &["export", "run", "--out", "model.safetensors", "--with-module"]));
    refused(&vae(dir, &["sample", "run", "--temperature", "0.5", "--png", "x"]), 2, &["--temperature", "VampPrior"]);
    let refuses = |settings: &[&str], says: &[&str]| {
        let settings = vamp.iter().chain(settings).flat_map(|setting| ["--set", setting]);
        refused(&train(dir).args(settings).args(["--out", "none"]).output().unwrap(), 2, says);
    };
    refuses(&["model.kind=vq"], &["model.prior = \"vamp\" is a prior of a VAE"]);
    refuses(&["model.kind=resnet18"], &["batch norm", "model.batch_norm = false"]);
    refuses(&["model.conditional=true"], &["no labels"]);
    refuses(&["loss.kind=tc"], &["loss.kind = \"beta\""]);
    refuses(&["loss.schedule=free-bits"], &["loss.schedule = \"free-bits\""]);
    refuses(&["model.pseudo_inputs=0"], &["model.pseudo_inputs = 0"]);
}
