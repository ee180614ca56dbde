//! The command line of `train`: its help, its settings, its exit codes and its one-line errors.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, planned, refused, train, vae};

/// Settings of a run that takes a second.
pub(crate) const TINY: &[&str] =
    &["--limit", "64", "--set", "model.width=2", "--set", "model.z_dim=3", "--set", "train.epochs=1"];

pub(crate) fn output(dir: &Path, args: &[&str]) -> Output {
    train(dir).args(args).output().unwrap()
}

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_examples_of_the_help_work() {
    let dir = folder();
    let help = done(&output(dir.path(), &["--help"]));
    done(&output(dir.path(), &[TINY, &["--out", "runs/quickstart-20261121-120000"]].concat()));
    let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  train")).collect();
    assert_eq!(examples.len(), 13, "{help}");
    for example in examples {
        // An explanation stands behind two spaces, or on the next line.
        let words = example.trim().split("  ").next().unwrap().split(' ').skip(1).filter(|word| *word != "--dry-run");
        let args: Vec<&str> = words.chain(["--dry-run"]).collect();
        planned(&output(dir.path(), &args));
    }
}

#[test]
fn recipes_and_version_are_told() {
    let dir = folder();
    let recipes = done(&output(dir.path(), &["--list-recipes"]));
    assert!(recipes.starts_with("quickstart ") && recipes.contains("\nbeta-resnet18  "), "{recipes}");
    assert_eq!(done(&output(dir.path(), &["--version"])), format!("train {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(done(&vae(dir.path(), &["--version"])), format!("vae {}\n", env!("CARGO_PKG_VERSION")));
}

/// `train` and `vae train` are the same command by two names.
#[test]
fn train_is_vae_train() {
    let dir = folder();
    let [short, long] = [output(dir.path(), &["--dry-run"]), vae(dir.path(), &["train", "--dry-run"])];
    assert_eq!(done(&short).replace(char::is_numeric, ""), done(&long).replace(char::is_numeric, ""));
    let [short, long] = [&output(dir.path(), &["--help"]), &vae(dir.path(), &["train", "--help"])].map(done);
    assert!(short.contains("Usage: train [OPTIONS]") && long.contains("Usage: vae train [OPTIONS]"), "{short}{long}");
    assert_eq!(
        short,
        long.replace("  vae train ", "  train ")
            .replace(": vae train", ": train")
            .replace("(vae train", "(train")
            .replace(
                "                                                         ",
                "                                                     "
            )
    );
}

#[test]
fn the_help_lists_every_command_and_a_wrong_one_is_refused() {
    let dir = folder();
    let help = done(&vae(dir.path(), &["--help"]));
    for words in
        ["Usage: vae <COMMAND>", "\nTrain:\n  train ", "\nLook:\n  report ", "\nMeasure:\n", "\nUse:\n  encode "]
    {
        assert!(help.contains(words), "{words:?} is not in: {help}");
    }
    let none = vae(dir.path(), &[]);
    assert_eq!((none.status.code(), String::from_utf8_lossy(&none.stderr).contains("Measure:")), (Some(2), true));
    refused(&vae(dir.path(), &["drw"]), 2, &["drw", "draw", "try --help"]);
    refused(&vae(dir.path(), &["export", "--frobnicate"]), 2, &["--frobnicate"]);
}

#[test]
fn a_dry_run_counts_and_touches_nothing() {
    let dir = folder();
    for (settings, count) in [
        (&["model.z_dim=128"][..], 23_910_275),
        (&["model.z_dim=64"], 23_811_843),
        (&["model.stem=7x7-pool"], 23_917_955),
        (&["data.channels=1"], 23_907_969),
    ] {
        let mut args = vec!["--recipe", "beta-resnet18", "--dry-run", "--json"];
        settings.iter().for_each(|setting| args.extend(["--set", setting]));
        let plan: Value = serde_json::from_str(&planned(&output(dir.path(), &args))).unwrap();
        assert_eq!((&plan["parameters"], &plan["trainable_parameters"]), (&count.into(), &count.into()));
        let halves = [&plan["encoder_parameters"], &plan["decoder_parameters"]].map(|half| half.as_u64().unwrap());
        assert_eq!(halves[0] + halves[1], count);
        assert_eq!((plan["effective_beta"].as_f64(), &plan["data"]["found"]), (Some(1.0), &Value::Bool(false)));
        let layers = plan["layers"].as_array().unwrap();
        let summed: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
        assert_eq!(summed, count);
        let channels = if settings == ["data.channels=1"] { 1 } else { 3 };
        assert_eq!(plan["input_shape"], serde_json::json!([channels, 32, 32]));
        assert_eq!(layers.last().unwrap()["output_shape"], serde_json::json!([channels, 32, 32]));
    }
    let table = done(&output(dir.path(), &["--dry-run"]));
    assert!(table.contains("encoder.layer1.0.conv1") && table.contains("16×16×16"), "{table}");
    assert!(table.contains("8,334 training") && table.contains("effective β = 1"), "{table}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn bad_configuration_is_one_line_and_code_2() {
    let dir = folder();
    fs::write(dir.path().join("bad.toml"), "[model]\nzdim = 3\n").unwrap();
    fs::write(dir.path().join("torn.toml"), "[model\n").unwrap();
    let set = |setting| ["--set", setting];
    let cases: &[(&[&str], &[&str])] = &[
        (&["--recipe", "quickstrat"], &["quickstrat", "quickstart, beta-resnet18"]),
        (&["--recipe", "no/such.toml"], &["no/such.toml", "cannot be read"]),
        (&["--recipe", "bad.toml"], &["bad.toml", "model.zdim", "did you mean model.z_dim?"]),
        (&["--recipe", "torn.toml"], &["torn.toml, line 1"]),
        (&["--frobnicate"], &["--frobnicate"]),
        (&["--see", "1"], &["--see", "--seed"]),
        (&["stray"], &["stray"]),
        (&["--json"], &["--dry-run"]),
        (&["--seed", "one"], &["--seed", "whole number"]),
        (&["--seed", "-1"], &["-1"]),
        (&["--device", "tpu"], &["device", "`auto`"]),
        (&["--limit", "0"], &["--limit"]),
        (&["--limit", "-3"], &["-3"]),
        (&["--threads", "0"], &["--threads"]),
        (&["--threads", "many"], &["--threads"]),
        (&["--threads", "100000"], &["--threads", "1024"]),
        (&["--out", ""], &["--out"]),
        (&set("model.zdim=3"), &["model.zdim", "did you mean model.z_dim?"]),
        (&set("model.z_dim"), &["key=value"]),
        (&set("model.z_dim=0"), &["model.z_dim = 0"]),
        (&set("model.z_dim=-4"), &["model.z_dim", "whole number"]),
        (&set("model.width=0"), &["model.width = 0"]),
        (&set("model.kind=resnet81"), &["model.kind", "resnet81", "resnet18"]),
        (&set("loss.beta=-1"), &["loss.beta = -1"]),
        (&set("loss.beta=nan"), &["loss.beta = NaN"]),
        (
            &["--set", "loss.kind=weighted", "--set", "loss.k1=0", "--set", "loss.k2=0"],
            &["loss.k1 = 0 and loss.k2 = 0"],
        ),
        (&set("train.learning_rate=nan"), &["train.learning_rate = NaN"]),
        (&set("train.learning_rate=0"), &["train.learning_rate = 0"]),
        (&set("train.batch_size=0"), &["train.batch_size = 0"]),
        (&set("train.accumulate=0"), &["train.accumulate = 0"]),
        (&set("data.image_size=28"), &["data.image_size = 28", "multiple of 16", "32"]),
        (&["--set", "model.stem=7x7-pool", "--set", "data.image_size=48"], &["multiple of 32"]),
        (&["--set", "model.kind=conv3", "--set", "data.image_size=28"], &["conv3", "multiple of 8", "32"]),
        (&["--set", "model.kind=dense", "--set", "model.output=tanh"], &["bce", "model.output = \"sigmoid\""]),
        (&set("model.widths=a"), &["model.widths", "whole numbers"]),
        (&set("model.widths=0"), &["model.widths = [0]"]),
        (&set("data.normalise=standard"), &["bce", "[0, 1]", "data.normalise = \"unit\""]),
        (&set("model.output=linear"), &["bce", "model.output = \"sigmoid\""]),
        (&["--set", "model.output=tanh", "--set", "loss.reconstruction=sse"], &["tanh", "symmetric"]),
        (&["--set", "data.image_size=16", "--set", "train.batch_size=8333"], &["has only 1 of 8334 images"]),
        (&set("model.width=1000000000"), &["GiB", "model.width"]),
        (&set("model.z_dim=9000000000000000000"), &["GiB", "model.z_dim"]),
        (&set("data.image_size=1600000000000000"), &["GiB", "data.image_size"]),
        (&set("train.ema=1"), &["train.ema = 1", "0.999"]),
        (&set("train.ema=nan"), &["train.ema = NaN"]),
        (&set("train.checkpoint_minutes=-1"), &["train.checkpoint_minutes = -1"]),
        (&set("train.checkpoint_minutes=inf"), &["train.checkpoint_minutes = inf"]),
        (&set("name=../x"), &["name"]),
    ];
    for (args, words) in cases {
        for extra in [&["--out", "run"][..], &["--dry-run"]] {
            if args.iter().any(|arg| ["--out", "--json"].contains(arg)) && !extra.is_empty() {
                refused(&output(dir.path(), args), 2, words);
            } else {
                refused(&output(dir.path(), &[args, extra].concat()), 2, words);
            }
        }
    }
    refused(&train(dir.path()).arg("--dry-run").env("VAE_MODEL_ZDIM", "3").output().unwrap(), 2, &["VAE_MODEL_Z_DIM"]);
    refused(&train(dir.path()).arg("--dry-run").env("VAE_SEED", "x").output().unwrap(), 2, &["VAE_SEED"]);
    assert!(!dir.path().join("run").exists() && !dir.path().join("runs").exists());
}

#[test]
fn settings_come_from_recipe_environment_and_flags_in_that_order() {
    let dir = folder();
    let z = |environment: Option<&str>, args: &[&str]| {
        let mut command = train(dir.path());
        command.args(["--dry-run", "--json"]).args(args);
        environment.map(|value| command.env("VAE_MODEL_Z_DIM", value));
        let plan: Value = serde_json::from_str(&done(&command.output().unwrap())).unwrap();
        plan["config"]["model"]["z_dim"].as_u64().unwrap()
    };
    assert_eq!([z(None, &[]), z(Some("5"), &[]), z(Some("5"), &["--set", "model.z_dim=6"])], [16, 5, 6]);
}

#[test]
fn a_bad_world_is_one_line_and_code_1() {
    let dir = folder();
    let run = |args: &[&str]| output(dir.path(), &[args, &["--out", "run"]].concat());
    let mnist = ["--set", "data.kind=mnist", "--data-dir", "data"];
    let cifar = ["--recipe", "beta-resnet18"];
    refused(
        &run(&mnist),
        1,
        &["data: mnist not found", "train-images-idx3-ubyte", "MNIST/raw/", "https://", "--data-dir"],
    );
    refused(&run(&cifar), 1, &["data: cifar10 not found", "cifar-10-batches-bin", "https://"]);
    let dry = output(dir.path(), &[&mnist[..], &["--dry-run"]].concat());
    refused(&dry, 1, &["this run cannot start: data: mnist not found", "MNIST/raw/"]);
    let told = planned(&dry);
    assert!(told.contains("not found") && told.contains("MNIST/raw/"), "{told}");

    let raw = dir.path().join("data/MNIST/raw");
    fs::create_dir_all(&raw).unwrap();
    let images = [2051, 2, 2, 2].map(u32::to_be_bytes).concat();
    let whole = [&images[..], &[9; 8]].concat();
    let labels = [&[2049_u32, 2].map(u32::to_be_bytes).concat()[..], &[1, 2]].concat();
    for set in ["train", "t10k"] {
        fs::write(raw.join(format!("{set}-images-idx3-ubyte")), &whole).unwrap();
        fs::write(raw.join(format!("{set}-labels-idx1-ubyte")), &labels).unwrap();
    }
    let first = raw.join("train-images-idx3-ubyte");
    for (bytes, words) in [
        (&whole[..20], "cut off"),
        (&labels[..], "starts with 2049, expected 2051"),
        (b"<!DOCTYPE html><title>404</title>", "web page"),
        (&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8][..], "damaged"),
        (&[0x1f, 0x8b, 8, 0][..], "cut off"),
        (&whole[..], "expected 60000 and 10000"),
    ] {
        fs::write(&first, bytes).unwrap();
        refused(&run(&mnist), 1, &[words]);
        refused(&output(dir.path(), &[&mnist[..], &["--dry-run"]].concat()), 1, &[words]);
    }

    fs::write(dir.path().join("garbage"), "not a checkpoint").unwrap();
    refused(&run(&["--init", "garbage"]), 1, &["garbage", "not a complete checkpoint"]);
    refused(&run(&["--init", "nothing"]), 1, &["nothing", "cannot be read"]);
    refused(&run(&["--init", "data"]), 1, &["data", "not a file"]);
    assert!(!dir.path().join("run").exists(), "a run that never began leaves nothing");

    fs::write(dir.path().join("file"), "").unwrap();
    refused(&output(dir.path(), &["--out", "file/run"]), 1, &["file/run", "--out"]);
    refused(&output(dir.path(), &["--out", "file"]), 1, &["file", "--out"]);
}
