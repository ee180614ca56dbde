//! `vae evaluate`: scores of a run that was trained.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused, train, vae};

fn evaluate(dir: &Path, words: &[&str]) -> Output {
    vae(dir, &[&["evaluate"], words].concat())
}

/// A run of an epoch, in `out`, on the CPU.
fn trained(dir: &Path, out: &str, settings: &[&str]) {
    let settings = settings.iter().chain(&["train.epochs=1", "device=cpu"]).flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--no-report", "--out", out]).output().unwrap());
}

const DENSE: [&str; 4] = ["model.kind=dense", "model.hidden=16", "model.z_dim=4", "data.limit=640"];

fn read(dir: &Path, run: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(run).join("scores.json")).unwrap()).unwrap()
}

/// The score of this name, and the number of its parts.
fn score(all: &Value, name: &str) -> (f64, usize) {
    let found = all["scores"].as_array().unwrap().iter().find(|score| score["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {all}"));
    (found["value"].as_f64().unwrap(), found["parts"].as_array().map_or(0, Vec::len))
}

fn missing<'a>(all: &'a Value, name: &str) -> &'a str {
    let found = all["missing"].as_array().unwrap().iter().find(|score| score["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not missing in {all}"))["why"].as_str().unwrap()
}

#[test]
fn digits_are_scored_the_same_twice_and_by_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "run", &DENSE);
    let told = done(&evaluate(dir.path(), &["run", "--images", "128", "--threads", "1"]));
    assert!(told.starts_with("run, epoch 1\n\ntotal ") && told.ends_with("\nrun/scores.json\n"), "{told}");
    let all = read(dir.path(), "run");
    assert_eq!((&all["run"], &all["images"]), (&"run".into(), &128.into()));
    let of = |name| score(&all, name).0;
    assert!((of("total") - of("reconstruction") - of("kl")).abs() < 1e-3);
    assert!((of("kl") - of("kl_per_dim")).abs() < 1e-4 && score(&all, "kl_per_dim").1 == 4);
    let r2 = 1.0 - of("mse") / of("mse_mean_image");
    assert!((of("r2") - r2).abs() < 1e-9 && of("mse_mean_image") > 0.01, "{r2}");
    let parts = all["scores"].as_array().unwrap().iter().find(|score| score["name"] == "kl_per_dim").unwrap();
    let used = parts["parts"].as_array().unwrap().iter().filter(|kl| kl.as_f64().unwrap() > 0.1).count();
    assert_eq!(of("latents_in_use"), used as f64);
    assert!(told.contains("latents (of 4) with a KL above 0.1 nat"), "{told}");
    // Estimates that are biased or saturated come last, with the reason.
    let (sound, misleading) = told.split_once("\nThese estimates are biased or saturated:\n").unwrap();
    for name in ["dw_kl_mws", "tc_mws", "mi_batch", "active_units"] {
        assert!(misleading.contains(&format!("\n{name} ")) || misleading.starts_with(name), "{name}: {misleading}");
        assert!(!sound.contains(&format!("\n{name} ")), "{sound}");
    }
    assert!(misleading.contains("saturates at ln 64 = 4.16 nats"), "{misleading}");
    assert!(of("ssim") > 0.0 && of("ssim") < 1.0 && of("mse") > 0.0 && of("psnr") > 5.0);
    assert!(of("frechet_distance") > 1.0 && of("frechet_distance_reconstructions") > 1.0 && of("kid") > 0.0);
    assert!(of("laplacian_variance_originals") > of("laplacian_variance_reconstructions"));
    assert!(of("two_stage_recognised") < 0.9 && of("two_stage_taught") < 0.95);
    assert!(of("nearest_training_ratio") > 0.1 && score(&all, "label_histogram").1 == 10);
    // Once more, with the features in the cache, on two threads, as JSON; and once from another place.
    let caches = fs::read_dir(dir.path().join("run/cache")).unwrap().count();
    let json = done(&evaluate(dir.path(), &["run", "--images", "128", "--json", "--threads", "2"]));
    assert_eq!((serde_json::from_str::<Value>(&json).unwrap(), read(dir.path(), "run")), (all.clone(), all.clone()));
    assert_eq!((caches, fs::read_dir(dir.path().join("run/cache")).unwrap().count()), (1, 1));
    let kept = fs::read_dir(dir.path().join("run/cache")).unwrap().next().unwrap().unwrap().path();
    fs::write(&kept, b"damaged").unwrap();
    done(&evaluate(dir.path(), &["run", "--images", "128"]));
    assert_eq!(read(dir.path(), "run"), all);
    assert!(fs::metadata(&kept).unwrap().len() > 100);
    // A model that has hardly been trained is no better than the mean image, and this is said.
    trained(dir.path(), "poor", &[&DENSE[..], &["train.learning_rate=1e-9"]].concat());
    let output = evaluate(dir.path(), &["poor", "--images", "128"]);
    done(&output);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains(
            "warning: the reconstructions of test images are no better than the mean training image: their MSE is 0."
        ),
        "{errors}"
    );
    assert!(score(&read(dir.path(), "poor"), "r2").0 < 0.0);
    // Fewer images than features are scored, and said to be few.
    let output = evaluate(dir.path(), &["run", "--images", "48"]);
    done(&output);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors
            .contains("warning: the Fréchet distance is unreliable unless there are more images than the 64 features"),
        "{errors}"
    );
}

#[test]
fn what_does_not_apply_is_missing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "shapes", &["data.kind=shapes", "data.images=240", "model.kind=dense", "model.hidden=8"]);
    done(&evaluate(dir.path(), &["shapes", "--images", "16"]));
    let all = read(dir.path(), "shapes");
    assert!(missing(&all, "frechet_distance").contains("name its run with --extractor"));
    assert!(missing(&all, "two_stage_taught").contains("no classifier of these labels"));
    score(&all, "nearest_training_mse");

    let classifier =
        ["data.kind=shapes", "data.images=240", "model.kind=classifier", "model.width=2", "data.image_size=32"];
    trained(dir.path(), "classifier", &classifier);
    done(&evaluate(dir.path(), &["classifier", "--images", "20"]));
    let all = read(dir.path(), "classifier");
    assert!(score(&all, "cross_entropy").0 == score(&all, "total").0 && score(&all, "accuracy").0 <= 1.0);
    assert!(missing(&all, "mse").contains("\"classifier\" does not reconstruct images"));

    // With it the shapes are scored, 64 px brought to its 32; its 16 features are fewer than the images.
    done(&evaluate(dir.path(), &["shapes", "--images", "20", "--extractor", "classifier"]));
    let all = read(dir.path(), "shapes");
    assert!(score(&all, "frechet_distance").0 > 0.0);
    assert_eq!((score(&all, "label_histogram").1, score(&all, "two_stage_taught").1), (3, 2));

    trained(dir.path(), "vq", &["model.kind=vq", "model.widths=2,4", "model.codes=8", "data.limit=128"]);
    done(&evaluate(dir.path(), &["vq", "--images", "64"]));
    let all = read(dir.path(), "vq");
    assert!(missing(&all, "frechet_distance").contains("no prior"));
    assert!(score(&all, "perplexity").0 >= 1.0 && score(&all, "frechet_distance_reconstructions").0 > 0.0);
}

#[test]
fn what_cannot_be_scored_is_told_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let refuses = |words: &[&str], code, says: &[&str]| refused(&evaluate(dir.path(), words), code, says);
    refuses(&["nowhere"], 1, &["nowhere/config.toml", "name the folder of a run"]);
    trained(dir.path(), "run", &DENSE);
    refuses(&["run", "--images", "1"], 2, &["--images", "2..=50000"]);
    refuses(&["run", "--extractor", "run"], 1, &["run: is a model of kind \"dense\"", "mnist-classifier"]);
    refuses(&["run", "--extractor", "nowhere"], 1, &["nowhere", "cannot be read"]);
    refuses(&["run", "--extractor", "run/config.toml"], 1, &["config.toml", "has no metadata about its run"]);
    refuses(&["run", "--inception", "run/config.toml"], 1, &["config.toml", "--inception needs the weights"]);
    let best = "run/checkpoints/best.safetensors";
    refuses(&["run", "--inception", best], 1, &["Conv2d_1a_3x3.conv.weight is missing (470 tensors"]);
    assert!(!dir.path().join("run/scores.json").exists());
}

#[test]
fn the_examples_of_the_help_work() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "runs/quickstart", &DENSE);
    let settings = ["model.kind=classifier", "model.width=2", "data.limit=64"];
    trained(dir.path(), "runs/mnist-classifier", &settings);
    let help = done(&evaluate(dir.path(), &["--help"]));
    let examples: Vec<Vec<&str>> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  vae evaluate "))
        .map(|line| line.split("   ").next().unwrap_or(line).split_whitespace().collect())
        .collect();
    assert_eq!(examples.len(), 5);
    for mut words in examples {
        if !words.contains(&"--images") {
            words.extend(["--images", "64"]);
        }
        done(&evaluate(dir.path(), &words));
    }
}
