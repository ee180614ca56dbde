//! `vae config`: the keys of a configuration.

use serde_json::Value;

use crate::{done, refused, vae};

#[test]
fn keys_are_listed_and_explained() {
    let dir = tempfile::tempdir().unwrap();
    let config = |words: &[&str]| vae(dir.path(), &[&["config"], words].concat());
    let all = done(&config(&[]));
    for words in ["\n[loss]  The objective", "\n  loss.beta ", "\n  train.ema ", "float: at least 0; default 1.0"] {
        assert!(all.contains(words), "{words:?} is not in: {all}");
    }
    assert!(all.lines().filter(|line| line.starts_with("  ") && line.contains("; default ")).count() > 60, "{all}");
    let loss = done(&config(&["loss"]));
    assert!(all.contains(loss.trim_end()) && !loss.contains("train.epochs"), "{loss}");
    let beta = done(&config(&["loss.beta"]));
    assert!(beta.contains("Set by these recipes:") && beta.contains("train --set loss.beta="), "{beta}");
    refused(&config(&["loss.bta"]), 2, &["unknown key loss.bta", "did you mean loss.beta?"]);
    refused(&config(&["loss", "--schema"]), 2, &["--schema"]);
    let schema: Value = serde_json::from_str(&done(&config(&["--schema"]))).unwrap();
    let kind = &schema["properties"]["loss"]["properties"]["kind"];
    assert_eq!(
        (&kind["enum"][2], &kind["default"], &schema["additionalProperties"]),
        (&"tc".into(), &"beta".into(), &false.into())
    );
    assert_eq!(schema["properties"]["data"]["properties"]["rotations"]["maximum"], 360);
}

#[test]
fn the_examples_of_the_help_work() {
    let dir = tempfile::tempdir().unwrap();
    let help = done(&vae(dir.path(), &["config", "--help"]));
    let examples = help.lines().filter(|line| line.starts_with("  vae config"));
    let examples: Vec<&str> = examples.map(|line| line.trim().split("  ").next().unwrap()).collect();
    assert_eq!(examples.len(), 4, "{help}");
    for example in examples {
        let command = example.split(" > ").next().unwrap(); // without a shell, nothing is redirected
        assert!(!done(&vae(dir.path(), &command.split(' ').skip(1).collect::<Vec<_>>())).is_empty(), "{example}");
    }
}
