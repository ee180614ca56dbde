//! Recipes through the `train` command: what a dry run counts for each, and that the weights of a loss may be at their ends.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use vae::recipe::RECIPES;

use crate::{done, planned};

fn output(dir: &Path, recipe: &str, settings: &[&str], more: &[&str]) -> Output {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    crate::train(dir).args(["--recipe", recipe]).args(settings).args(more).output().unwrap()
}

/// Runs the command, and gives what it printed.
#[track_caller]
fn train(dir: &Path, recipe: &str, settings: &[&str], more: &[&str]) -> String {
    done(&output(dir, recipe, settings, more))
}

/// `skip` with an identity in its shortcuts.
const PRE_ACTIVATION: &[&str] =
    &["model.kind=skip", "model.block=pre-activation", "model.z_dim=512", "data.image_size=64"];

#[test]
fn a_dry_run_counts_each_recipe_s_model_and_tells_its_effective_beta() {
    let dir = tempfile::tempdir().unwrap();
    let cases: &[(&str, &[&str], u64, Value)] = &[
        ("quickstart", &[], 1_491_841, json!(1.0)),
        ("sigma-vae", &[], 1_491_841, json!(1.0)),
        ("sigma-vae", &["loss.variance=learned"], 1_491_842, json!(1.0)),
        ("vae-mnist", &[], 425_284, json!(1.0)),
        ("iwae-mnist", &["loss.gradient=dreg"], 425_284, json!(1.0)),
        ("miwae-mnist", &[], 425_284, json!(1.0)),
        ("beta-resnet18", &["loss.beta=4"], 23_910_275, json!(4.0)),
        ("mnist-dense", &[], 415_024, json!(1.0)),
        ("mnist-dense", &["model.hidden=512"], 829_232, json!(1.0)),
        ("tc-dogs", &[], 2_028_907, json!(6.0)),
        ("tc-celeba", &["model.z_dim=10"], 1_537_367, json!(6.0)),
        ("tc-chairs", &[], 2_025_705, json!(3.0)),
        ("tc-mnist", &["loss.beta=6", "loss.alpha=2"], 1_054_917, json!(6.0)),
        ("tc-mnist", &["loss.schedule=linear", "loss.kind=beta", "model.z_dim=20"], 1_276_137, json!(1.0)),
        ("tc-mnist", &["loss.schedule=capacity", "loss.kind=beta", "loss.gamma=100"], 1_054_917, json!(100.0)),
        ("mnist-cnn", &["loss.k1=0.25"], 228_193, json!(2.0)),
        ("mnist-cnn", &["model.z_dim=20", "loss.k1=0", "loss.k2=1"], 265_833, json!("inf")),
        ("basic-vae", &[], 325_547, json!(1.0)),
        ("basic-vae", &["data.kind=mnist"], 324_393, json!(1.0)),
        ("resnet18-vae", &["model.z_dim=128"], 23_910_275, json!(1.0)),
        ("resnet18-vae-nobn", &[], 23_734_635, json!(1.0)),
        ("resnet18-vae-sigmoid", &["model.z_dim=64"], 23_811_843, json!(1.0)),
        ("resnet50-vae", &[], 47_117_611, json!(1.0)),
        ("resnet50-vae", &["model.z_dim=128"], 47_781_379, json!(1.0)),
        ("cifar10-classifier", &[], 11_173_962, Value::Null),
        ("mnist-classifier", &[], 11_172_810, Value::Null),
        ("beta-resnet18-pretrained", &[], 23_910_275, json!(1.0)),
        ("beta-resnet18-frozen", &[], 23_910_275, json!(1.0)),
        ("resnet50-vae", &["model.kind=conv3", "data.image_size=64"], 2_028_907, json!(1.0)),
        ("dip-vae", &["loss.dip=i"], 201_493, json!(1.0)),
        ("wae-mmd", &[], 201_493, json!(0.0)),
        ("wae-mmd", &["loss.alpha=0.9"], 201_493, json!(0.1)),
        ("factor-vae", &[], 533_526, json!(1.0)),
        ("csvae", &[], 411_771, json!(1.0)),
        ("csvae", &["loss.subspace=2"], 413_247, json!(1.0)),
        ("vae-gan", &[], 441_858, json!(0.1)),
        ("vae-gan", &["loss.discriminator_channels=32"], 283_970, json!(0.1)),
        ("soft-intro-vae", &["loss.beta=0.5"], 275_233, json!(0.5)),
        ("vamp", &[], 377_633, json!(1.0)),
        ("ladder", &[], 487_929, json!(1.0)),
        ("vq", &[], 76_625, Value::Null),
        ("fsq", &[], 74_948, Value::Null),
        ("pegasus", &[], 19_753_331, json!(0.24)),
        ("resnet50-vae", &["model.kind=skip", "model.z_dim=512", "data.image_size=64"], 19_753_331, json!(1.0)),
        ("resnet50-vae", PRE_ACTIVATION, 19_682_307, json!(1.0)),
        ("beta-resnet18", &["model.z_dim=10"], 23_728_791, json!(1.0)),
        ("beta-resnet18", &["model.z_dim=32"], 23_762_627, json!(1.0)),
        ("beta-resnet18", &["model.z_dim=64"], 23_811_843, json!(1.0)),
        ("beta-resnet18", &["data.channels=1"], 23_907_969, json!(1.0)),
        ("beta-resnet18", &["model.stem=7x7-pool"], 23_917_955, json!(1.0)),
        ("beta-resnet18", &["model.upsample=nearest", "model.decoder_conv=plain"], 23_910_275, json!(1.0)),
        ("beta-resnet18", &["model.batch_norm=false", "model.z_dim=20"], 23_734_635, json!(1.0)),
        ("resnet50-vae", &["model.kind=conv3", "data.image_size=64", "model.z_dim=10"], 1_537_367, json!(1.0)),
    ];
    for (recipe, settings, count, effective) in cases {
        let plan: Value =
            serde_json::from_str(&planned(&output(dir.path(), recipe, settings, &["--dry-run", "--json"]))).unwrap();
        let told = (plan["parameters"].as_u64(), &plan["recipe"], &plan["effective_beta"]);
        assert_eq!(told, (Some(*count), &json!(recipe), effective), "{settings:?}");
        let halves = ["encoder_parameters", "decoder_parameters"].map(|half| plan[half].as_u64());
        if (*count, *recipe) == (23_910_275, "beta-resnet18-frozen") {
            assert_eq!(halves, [Some(11_300_160), Some(12_610_115)]);
        }
    }
    for (recipe, hint) in [
        ("quickstart", None),
        ("basic-vae", Some("assumes errors of σ = 0.707")),
        ("pegasus", Some("0.24 weighs the KL less")),
    ] {
        let told = planned(&output(dir.path(), recipe, &[], &["--dry-run"]));
        let line = told.lines().find(|line| line.starts_with("  hint "));
        assert_eq!(line.is_some(), hint.is_some(), "{told}");
        assert!(
            line.zip(hint).is_none_or(|(line, hint)| line.contains(hint) && line.contains("docs/kl-weight.md")),
            "{told}"
        );
    }
    for recipe in RECIPES {
        assert!(cases.iter().any(|(name, ..)| *name == recipe.name), "{} is not counted", recipe.name);
    }
}

/// What a frozen encoder leaves to be trained: heads and decoder, or the decoder alone. The classifier need not be there.
#[test]
fn a_dry_run_counts_what_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    for (settings, count) in [(&[][..], 12_741_443), (&["model.freeze_heads=true"], 12_610_115)] {
        let told = planned(&output(dir.path(), "beta-resnet18-frozen", settings, &["--dry-run", "--json"]));
        let plan: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (plan["parameters"].as_u64(), plan["trainable_parameters"].as_u64()),
            (Some(23_910_275), Some(count))
        );
        assert!(plan["encoder"].as_str().unwrap().ends_with("best.safetensors: not found"), "{plan}");
    }
}

#[test]
fn either_weight_of_the_loss_may_be_0() {
    let dir = tempfile::tempdir().unwrap();
    for (k1, k2, effective) in [("0", "1", "inf"), ("1", "0", "0")] {
        let weights = [&format!("loss.k1={k1}")[..], &format!("loss.k2={k2}")];
        let settings = [&weights[..], &["data.kind=digits", "train.epochs=2", "model.z_dim=4"]].concat();
        let more = ["--limit", "64", "--device", "cpu", "--out", k1];
        let told = train(dir.path(), "mnist-dense", &settings, &more);
        assert!(told.contains(&format!("{k1} × sse + {k2} × KL")), "{told}");
        assert!(told.contains(&format!("effective β = {effective} ")), "{told}");
        for line in fs::read_to_string(dir.path().join(k1).join("metrics.jsonl")).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            for part in ["train", "validation"] {
                let [total, reconstruction, kl] =
                    ["total", "reconstruction", "kl"].map(|key| line[part][key].as_f64().expect("a number"));
                let alone = if k1 == "0" { kl } else { reconstruction };
                assert!((total - alone).abs() < 1e-9 * alone && reconstruction > 0.0 && kl > 0.0, "{line}");
            }
        }
    }
}

#[test]
fn means_collapse_the_posterior_and_are_warned_of_where_sums_are_not() {
    let dir = tempfile::tempdir().unwrap();
    for (reduction, collapses) in [("mean", true), ("sum", false)] {
        let settings = [&format!("loss.reduction={reduction}"), "data.kind=digits", "train.epochs=3"];
        let output =
            output(dir.path(), "mnist-dense", &settings, &["--limit", "1024", "--device", "cpu", "--out", reduction]);
        let warnings = String::from_utf8(output.stderr).unwrap();
        let told = warnings.lines().filter(|line| line.contains("the posterior has collapsed")).count();
        assert_eq!((output.status.code(), told), (Some(0), usize::from(collapses)), "{warnings}");
        if collapses {
            assert!(warnings.contains("try loss.reduction = \"sum\", a smaller loss.k2"), "{warnings}");
        }
        let metrics = fs::read_to_string(dir.path().join(reduction).join("metrics.jsonl")).unwrap();
        let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert_eq!(last["train"]["kl"].as_f64().unwrap() < 0.1, collapses, "{last}");
    }
}

#[test]
fn the_three_terms_are_told_and_add_up_and_the_batch_s_last_is_one_image() {
    let dir = tempfile::tempdir().unwrap();
    for estimator in ["batch", "mws", "mss", "unnormalised"] {
        let estimated = format!("loss.estimator={estimator}");
        let settings = [
            "data.kind=digits",
            "train.epochs=2",
            "model.widths=4,4,4",
            "loss.beta=3",
            "train.log_steps=1",
            "loss.schedule=constant",
            &estimated,
        ];
        // 65 images: the second batch of an epoch is a single one.
        train(dir.path(), "tc-mnist", &settings, &["--limit", "65", "--device", "cpu", "--out", estimator]);
        let lines = |name: &str| -> Vec<Value> {
            let text = fs::read_to_string(dir.path().join(estimator).join(name)).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let told = |losses: &Value| {
            let [total, reconstruction, mi, tc, dw_kl, kl] = ["total", "reconstruction", "mi", "tc", "dw_kl", "kl"]
                .map(|key| losses[key].as_f64().expect("a number"));
            assert!((total - (reconstruction + mi + 3.0 * tc + dw_kl)).abs() < 1e-9 * total.abs(), "{losses}");
            assert!(kl >= 0.0, "{losses}");
        };
        let steps = lines("steps.jsonl");
        assert_eq!(steps.len(), 4);
        steps.iter().for_each(told);
        for epoch in lines("metrics.jsonl") {
            [&epoch["train"], &epoch["validation"]].into_iter().for_each(told);
        }
    }
}

#[test]
fn a_schedule_is_told_and_moves_the_training_loss_but_not_the_validation_s() {
    let dir = tempfile::tempdir().unwrap();
    for schedule in ["constant", "linear", "cyclical", "free-bits", "capacity"] {
        let scheduled = format!("loss.schedule={schedule}");
        let own: &[&str] = match schedule {
            "linear" => &["loss.beta=2", "loss.warmup=2"],
            "cyclical" => &["loss.beta=2", "loss.cycles=1"],
            "capacity" => &["loss.gamma=2", "loss.warmup=2"],
            _ => &["loss.beta=2"],
        };
        let settings =
            [&scheduled, "train.epochs=2", "model.kind=dense", "train.learning_rate=1e-9", "train.log_steps=1"];
        let settings = [&settings[..], own].concat();
        let more = ["--limit", "64", "--set", "train.batch_size=16", "--device", "cpu", "--out", schedule];
        let said = train(dir.path(), "quickstart", &settings, &more);
        let words = match schedule {
            "constant" => "relative to the reconstruction)\n",
            "linear" => "the KL's weight rises from 0 over the first 2 epochs",
            "cyclical" => "over the first half of each of 1 cycles of 2 epochs",
            "free-bits" => "counts as at least 0.25 nats",
            _ => "C rises from 0 to 25 nats over the first 2 epochs",
        };
        assert!(said.contains(words), "{said}");
        // The weights hardly move: the same KL in every step of an epoch, and what is made of it by the formula.
        let text = fs::read_to_string(dir.path().join(schedule).join("steps.jsonl")).unwrap();
        for (t, line) in text.lines().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap();
            let [total, reconstruction, kl] = ["total", "reconstruction", "kl"].map(|key| line[key].as_f64().unwrap());
            let expected = match schedule {
                "constant" => 2.0 * kl,
                "linear" => 2.0 * kl * t as f64 / 8.0,
                "cyclical" => 2.0 * kl * (t as f64 / 4.0).min(1.0),
                "free-bits" => 2.0 * line["kl_penalty"].as_f64().unwrap(),
                _ => 2.0 * (kl - 25.0 * t as f64 / 8.0).abs(),
            };
            assert!((total - reconstruction - expected).abs() < 1e-4 * total, "{schedule}, step {t}: {line}");
        }
        let text = fs::read_to_string(dir.path().join(schedule).join("metrics.jsonl")).unwrap();
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        let [total, reconstruction, kl] =
            ["total", "reconstruction", "kl"].map(|key| line["validation"][key].as_f64().unwrap());
        let end = match schedule {
            "free-bits" => 2.0 * line["validation"]["kl_penalty"].as_f64().unwrap(),
            "capacity" => 2.0 * line["validation"]["kl_penalty"].as_f64().unwrap(),
            _ => 2.0 * kl,
        };
        assert!((total - reconstruction - end).abs() < 1e-6 * total, "{schedule}: {line}");
    }
}
