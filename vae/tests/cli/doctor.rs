//! `vae doctor`: runs with a known fault, and what it says about them.

use std::path::Path;

use crate::{done, refused, train, vae};

/// A run of an epoch, in `out`, on the CPU.
fn trained(dir: &Path, out: &str, settings: &[&str]) {
    let dense =
        ["model.kind=dense", "model.hidden=16", "model.z_dim=4", "data.limit=640", "train.epochs=1", "device=cpu"];
    let settings = settings.iter().chain(&dense).flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--no-report", "--out", out]).output().unwrap());
}

#[test]
fn a_collapse_is_found_with_its_cause_a_command_and_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "runs/grey", &["loss.reconstruction=sse", "loss.reduction=mean", "loss.beta=100"]);
    let told = done(&vae(dir, &["doctor", "runs/grey", "--images", "32"]));
    assert!(
        told.starts_with(
            "grey, epoch 1\n\nall reconstructions are alike: the posterior has collapsed\n  why   the KL is 0.0"
        ),
        "{told}"
    );
    assert!(told.contains("the effective β is 25600;"), "{told}"); // 100·1,024 pixels / 4 latents
    assert!(
        told.contains("\n  look  vae draw runs/grey kl\n  cure  loss.reduction = \"sum\", a smaller loss.beta"),
        "{told}"
    );
    assert_eq!(told.matches("  cure  ").count(), 1, "a collapse explains everything else: {told}");
    // What it names as the cure is right: with sums the same run does not collapse.
    trained(dir, "runs/sums", &["loss.reconstruction=sse", "loss.beta=1"]);
    let told = done(&vae(dir, &["doctor", "runs/sums", "--images", "32"]));
    assert!(!told.contains("collapsed"), "{told}");
}

#[test]
fn what_is_no_run_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    refused(&vae(dir.path(), &["doctor", "absent"]), 1, &["absent"]);
    refused(&vae(dir.path(), &["doctor", "absent", "--images", "1"]), 2, &["1 is not in 2..=50000"]);
}
