//! `vae export` as a user meets it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vae::config::{Config, Settings};
use vae::run::export::pytorch;

use crate::{done, refused, train, vae};

fn export(dir: &Path, args: &[&str]) -> Output {
    vae(dir, &[&["export"], args].concat())
}

/// A run of a second in `out`.
fn run(dir: &Path, out: &str, settings: &[&str]) {
    let small = ["model.width=2", "model.z_dim=3", "train.epochs=1"];
    let settings = small.iter().chain(settings).flat_map(|setting| ["--set", *setting]);
    done(&train(dir).args(settings).args(["--limit", "32", "--device", "cpu", "--out", out]).output().unwrap());
}

fn names(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let mut names: Vec<String> =
        SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|s| s.to_string()).collect();
    names.sort();
    names
}

#[test]
fn the_examples_work_and_every_part_bears_its_own_names() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "runs/quickstart", &["data.image_size=16"]);
    let help = done(&export(dir, &["--help"]));
    let examples: Vec<&str> = help.lines().filter(|line| line.starts_with("  vae export")).collect();
    assert_eq!(examples.len(), 4, "{help}");
    for example in examples {
        let words: Vec<&str> = example.trim().split("  ").next().unwrap().split(' ').skip(2).collect();
        assert!(done(&export(dir, &words)).contains("safetensors  "), "{example}");
    }
    let best = dir.join("runs/quickstart/checkpoints/best.safetensors");
    let (ours, whole) = (fs::read(best).unwrap(), fs::read(dir.join("model.safetensors")).unwrap());
    let [ours, whole] = [&ours, &whole].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    for (name, view) in whole.tensors() {
        let counter = name.ends_with("num_batches_tracked");
        assert_eq!(view.dtype(), if counter { Dtype::I64 } else { Dtype::F32 }, "{name}");
        assert!(view.data() == ours.tensor(&name).unwrap().data(), "{name}");
    }
    let encoder = names(&dir.join("encoder.safetensors"));
    assert!(encoder.iter().any(|name| name == "layer2.0.downsample.1.num_batches_tracked"), "{encoder:?}");
    done(&export(dir, &["runs/quickstart", "--part", "decoder", "--out", "deep/decoder.safetensors"]));
    let decoder = names(&dir.join("deep/decoder.safetensors"));
    assert_eq!(encoder.len() + decoder.len(), whole.len());
    let check = names(&dir.join("check.safetensors"));
    assert_eq!(check, ["images", "logvar", "mu", "pixels", "x", "xhat", "z"]);
    assert!(fs::read_to_string(dir.join("digits.py")).unwrap().contains("\nclass ResnetDecoder("));
    // What went out begins another model's encoder.
    let args = ["--init-encoder", "encoder.safetensors", "--set", "model.width=2", "--set", "data.image_size=16"];
    let told = done(&train(dir).args(args).args(["--dry-run", "--limit", "32"]).output().unwrap());
    assert!(told.contains("loaded 100 tensors") && told.contains("skipped: 4 tensors (logvar, mu)"), "{told}");
}

#[test]
fn other_kinds_have_their_parts_and_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "classifier", &["model.kind=classifier"]);
    done(&export(dir, &["classifier", "--part", "encoder", "--out", "trunk", "--check", "logits"]));
    let trunk = names(&dir.join("trunk"));
    assert!(trunk.len() == 120 && trunk.iter().all(|name| !name.starts_with("fc")), "{trunk:?}");
    assert_eq!(names(&dir.join("logits")), ["images", "logits", "x"]);
    refused(&export(dir, &["classifier", "--part", "decoder", "--out", "none"]), 2, &["classifier", "has no decoder"]);
    assert!(!dir.join("none").exists());
    run(dir, "vq", &["model.kind=vq", "model.codes=4", "model.code_width=2", "model.widths=2,3"]);
    done(&export(dir, &["vq", "--part", "encoder", "--out", "maps", "--check", "coded"]));
    assert_eq!(
        names(&dir.join("maps")),
        ["code.bias", "code.weight", "conv1.bias", "conv1.weight", "conv2.bias", "conv2.weight"]
    );
    assert_eq!(names(&dir.join("coded")), ["images", "maps", "pixels", "quantised", "x", "xhat"]);
    run(dir, "told", &["model.conditional=true", "data.image_size=16"]);
    done(&export(dir, &["told", "--out", "all", "--check", "told-check"]));
    assert_eq!(names(&dir.join("told-check")), ["images", "labels", "logvar", "mu", "pixels", "x", "xhat", "z"]);
}

/// The metadata of an exported file.
fn metadata(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["vae"]).unwrap()
}

/// The numbers of a tensor in a file.
fn numbers(path: &Path, name: &str) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor(name).unwrap().data().to_vec();
    data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn examples_are_pixels_and_what_the_model_makes_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let symmetric = ["data.normalise=symmetric", "model.output=tanh", "loss.reconstruction=sse"];
    run(dir, "run", &[&["model.kind=dense", "data.image_size=16"], &symmetric[..]].concat());
    done(&export(dir, &["run", "--out", "model", "--check", "check"]));
    let [images, x, xhat, pixels] = ["images", "x", "xhat", "pixels"].map(|name| numbers(&dir.join("check"), name));
    assert_eq!(images.len(), 4 * 16 * 16);
    let unit = |numbers: &[f32]| numbers.iter().all(|number| (0.0..=1.0).contains(number));
    assert!(unit(&images) && unit(&pixels));
    assert!(images.iter().zip(&x).all(|(pixel, x)| (2.0 * pixel - 1.0 - x).abs() < 1e-6), "2x − 1");
    let close = |(xhat, pixel): (&f32, &f32)| ((xhat.tanh() + 1.0) / 2.0 - pixel).abs() < 1e-6;
    assert!(xhat.iter().zip(&pixels).all(close) && xhat.iter().any(|xhat| xhat.abs() > 1e-3));
}

/// A checkpoint of the format before the description of its images.
fn without_images(bytes: &[u8]) -> Vec<u8> {
    let (start, end) = (place(bytes, r#"\"data\":{"#) + r#"\"data\":"#.len(), place(bytes, r#",\"epoch\":"#));
    let mut bytes = bytes.to_vec();
    bytes[start..end].fill(b' ');
    bytes[start..start + 4].copy_from_slice(b"null");
    signed(bytes)
}

/// `tests/oracle/exported.py` runs the modules of all kinds in PyTorch.
#[test]
fn a_module_is_written_next_to_the_weights_which_say_all_that_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "run", &["model.kind=basic", "model.conditional=true", "data.image_size=16", "data.normalise=unit"]);
    let told = done(&export(dir, &["run", "--out", "weights/small.safetensors", "--with-module"]));
    assert!(told.contains("small.safetensors  ") && told.contains("small.py  "), "{told}");
    let code = fs::read_to_string(dir.join("weights/small.py")).unwrap();
    assert!(code.contains("\ndef load(path):\n") && code.contains("\nclass ConvolutionalEncoder("), "{code}");
    let data = metadata(&dir.join("weights/small.safetensors"));
    let config = &data["config"];
    assert_eq!((&data["part"], &config["data"]["classes"]), (&json!("model"), &json!(10)));
    assert_eq!(config["model"]["widths"], json!([32, 64]));
    assert_eq!((&data["data"]["mean"], &data["data"]["std"]), (&json!([0.0]), &json!([1.0])));
    assert_eq!((&data["data"]["channels"], &data["data"]["image_size"]), (&json!(1), &json!(16)));
    // Where there is a Python.
    if let Ok(compiled) = Command::new("python3")
        .args(["-c", "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')", "weights/small.py"])
        .current_dir(dir)
        .output()
    {
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }

    let with_module =
        |run, out, more: &[&'static str]| export(dir, &[&[run, "--out", out, "--with-module"], more].concat());
    refused(&with_module("run", "weights/small.bin", &[]), 2, &["weights/small.py: exists already"]);
    refused(&with_module("run", "model.py", &[]), 2, &["model.py: --out and --with-module name the same file"]);
    refused(
        &with_module("run", "a.bin", &["--check", "a.py"]),
        2,
        &["a.py: --check and --with-module name the same file"],
    );
    for part in ["encoder", "decoder"] {
        refused(
            &with_module("run", "part.bin", &["--part", part]),
            2,
            &["--with-module: the module needs the whole model"],
        );
    }
    let best = fs::read(dir.join("run/checkpoints/best.safetensors")).unwrap();
    fs::write(dir.join("old"), without_images(&best)).unwrap();
    refused(&with_module("old", "old.bin", &[]), 1, &["old: was written by an older version", "--with-module needs"]);
    assert_eq!(fs::read_dir(dir).unwrap().count(), 3, "the run, the weights and the old checkpoint");
    assert_eq!(fs::read_dir(dir.join("weights")).unwrap().count(), 2);
    let output = export(dir, &["old", "--out", "old.bin", "--check", "check.bin"]);
    assert_eq!(output.status.code(), Some(0));
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(warning.contains("old: written by an older version"), "{warning}");
    assert_eq!(names(&dir.join("check.bin")), ["labels", "logvar", "mu", "x", "xhat", "z"], "pixels are unknown");
    assert_eq!(metadata(&dir.join("old.bin"))["data"], Value::Null);
}

/// Where some words stand in a file.
fn place(bytes: &[u8], words: &str) -> usize {
    bytes.windows(words.len()).position(|window| window == words.as_bytes()).unwrap()
}

/// A checkpoint with the checksum that its bytes come to: see `checkpoint.rs`.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let before = r#"\"sha256\":\""#;
    let at = place(&bytes, before) + before.len();
    bytes[at..at + 64].fill(b'0');
    let sum = vae_core::hex(Sha256::digest(&bytes));
    bytes[at..at + 64].copy_from_slice(sum.as_bytes());
    bytes
}

#[test]
fn what_cannot_be_exported_is_refused_in_a_line_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "run", &["data.image_size=16"]);
    let out = ["--out", "out.safetensors"];
    let with = |args: &[&'static str]| [args, &out].concat();
    refused(&export(dir, &out), 2, &["RUN|FILE", "try --help"]);
    refused(&export(dir, &["run"]), 2, &["--out", "try --help"]);
    refused(&export(dir, &with(&["run", "--part", "head"])), 2, &["head", "encoder, decoder, model"]);
    refused(&export(dir, &with(&["absent"])), 1, &["absent: cannot be read"]);
    fs::create_dir(dir.join("empty")).unwrap();
    refused(&export(dir, &with(&["empty"])), 1, &["empty: contains neither checkpoints/best.safetensors"]);
    refused(&export(dir, &with(&["run/config.toml"])), 1, &["config.toml", "has no metadata about its run"]);
    let whole = fs::read(dir.join("run/checkpoints/best.safetensors")).unwrap();
    fs::write(dir.join("torn"), &whole[..whole.len() - 9]).unwrap();
    refused(&export(dir, &with(&["torn"])), 1, &["torn: ", "has no metadata about its run"]);
    // The same length, and another model or a monstrous one in its metadata: damaged, or with a checksum that says otherwise.
    let swap = |from: &str, to: &str| {
        let at = place(&whole, from);
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    fs::write(dir.join("bent"), swap("z_dim = 3", "z_dim = 4")).unwrap();
    refused(&export(dir, &with(&["bent"])), 1, &["bent: is damaged: its bytes do not match its checksum"]);
    fs::write(dir.join("other"), signed(swap("z_dim = 3", "z_dim = 4"))).unwrap();
    refused(&export(dir, &with(&["other"])), 1, &["other: ", "encoder.mu.weight"]);
    fs::write(dir.join("huge"), signed(swap("width = 2", "width=999"))).unwrap();
    refused(
        &export(dir, &with(&["huge"])),
        1,
        &["huge: describes a model of 2", " MB but contains 1 MB, so it is damaged"],
    );
    fs::write(dir.join("wide"), signed(swap("image_size = 16", "image_size=9984"))).unwrap();
    let check = ["wide", "--out", "out.safetensors", "--check", "check.safetensors"];
    refused(&export(dir, &check), 2, &["--check: four images of data.image_size = 9984 need about"]);
    done(&export(dir, &["run", "--part", "encoder", "--out", "encoder.safetensors"]));
    refused(&export(dir, &with(&["encoder.safetensors"])), 1, &["has no metadata about its run"]);
    refused(&export(dir, &["run", "--out", "encoder.safetensors"]), 2, &["encoder.safetensors: exists already"]);
    let both = ["run", "--out", "both.safetensors", "--check", "encoder.safetensors"];
    refused(&export(dir, &both), 2, &["encoder.safetensors: exists already"]);
    refused(
        &export(dir, &["run", "--out", "both.safetensors", "--check", "both.safetensors"]),
        2,
        &["name the same file"],
    );
    refused(&export(dir, &["run", "--out", "torn/in.safetensors"]), 1, &["torn/in.safetensors: cannot be written"]);
    for name in ["out.safetensors", "both.safetensors"] {
        assert!(!dir.join(name).exists(), "{name}");
    }
}

fn module(settings: &[&str]) -> String {
    let mut all = Settings::default();
    settings.iter().for_each(|setting| all.assignment(setting).unwrap());
    pytorch::module(&all.resolve().unwrap())
}

#[test]
fn a_module_contains_what_its_kind_needs_and_imports_nothing_but_pytorch() {
    for (settings, classes) in [
        (&["model.kind=resnet18"][..], "Model Vae ResnetBlock ResnetEncoder ResnetDecoder"),
        (&["model.kind=resnet50"], "Model Vae ResnetBlock ResnetEncoder ResnetDecoder"),
        (&["model.kind=alexnet"], "Model Vae ResnetBlock ResnetEncoder ResnetDecoder Features VggEncoder"),
        (&["model.kind=basic"], "Model Vae ConvolutionalEncoder ConvolutionalDecoder"),
        (&["model.kind=conv3"], "Model Vae ConvolutionalEncoder ConvolutionalDecoder"),
        (&["model.kind=skip"], "Model Vae TwoConvBlock PreActivationBlock SkipEncoder SkipDecoder"),
        (&["model.kind=dense"], "Model Vae DenseEncoder DenseDecoder"),
        (&["model.kind=ladder"], "Model Ladder LadderCell LadderEncoder LadderDecoder"),
        (&["model.kind=classifier"], "Model Classifier ResnetBlock ResnetEncoder"),
        (&["model.kind=vq"], "Model Vq ConvolutionalEncoder ConvolutionalDecoder"),
        (&["model.kind=fsq"], "Model Vq ConvolutionalEncoder ConvolutionalDecoder"),
        (&["model.kind=vq", "model.encoder=resnet50"], "Model Vq ResnetBlock ResnetEncoder ResnetDecoder"),
    ] {
        let code = module(settings);
        let found: Vec<&str> = code.lines().filter_map(|line| line.strip_prefix("class ")?.split('(').next()).collect();
        assert_eq!(found.join(" "), classes, "{settings:?}");
        let imports = code.lines().filter(|line| line.starts_with("import ") || line.starts_with("from "));
        let wanted = "import json, import struct, from pathlib import Path, import torch, from torch import nn, \
                      from torch.nn import functional as F";
        assert_eq!(imports.collect::<Vec<_>>().join(", "), wanted, "{settings:?}");
        assert!(code.starts_with("\"\"\"") && code.ends_with('\n') && !code.contains("\n\n\n\n"), "{code}");
    }
}

/// A new word of a key that decides about layers needs a branch in the Python code.
#[test]
fn modules_know_every_word_of_the_model_s_keys() {
    let kinds = ["resnet18", "vgg11", "basic", "skip", "dense", "ladder", "classifier", "vq", "fsq"];
    let code: String = kinds.map(|kind| module(&[&format!("model.kind={kind}")])).concat();
    let sections = Config::sections();
    let keys = &sections.iter().find(|section| section.name == "model").unwrap().keys;
    let words: BTreeSet<&str> = keys.iter().flat_map(|key| key.kind.words()).map(|(word, _)| *word).collect();
    assert!(words.len() > 15, "{words:?}");
    let named = |word: &str| code.contains(&format!("\"{word}\"")) || code.contains(&format!("update({word}="));
    let missing: Vec<&str> = words.into_iter().filter(|word| !named(word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
