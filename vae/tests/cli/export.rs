//! `vae export` as a user meets it.

use std::fs;
use std::path::Path;
use std::process::Output;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use sha2::{Digest, Sha256};

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
    assert_eq!(examples.len(), 3, "{help}");
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
    assert_eq!(names(&dir.join("check.safetensors")), ["logvar", "mu", "x", "xhat", "z"]);
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
    assert_eq!(names(&dir.join("logits")), ["logits", "x"]);
    refused(&export(dir, &["classifier", "--part", "decoder", "--out", "none"]), 2, &["classifier", "has no decoder"]);
    assert!(!dir.join("none").exists());
    run(dir, "vq", &["model.kind=vq", "model.codes=4", "model.code_width=2", "model.widths=2,3"]);
    done(&export(dir, &["vq", "--part", "encoder", "--out", "maps", "--check", "coded"]));
    assert_eq!(
        names(&dir.join("maps")),
        ["code.bias", "code.weight", "conv1.bias", "conv1.weight", "conv2.bias", "conv2.weight"]
    );
    assert_eq!(names(&dir.join("coded")), ["maps", "x", "xhat"]);
    run(dir, "told", &["model.conditional=true", "data.image_size=16"]);
    done(&export(dir, &["told", "--out", "all", "--check", "told-check"]));
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
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
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
