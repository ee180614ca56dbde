//! The options of the command line that change no numbers: `--quiet`, `--profile`, `--tensorboard`.

use std::fs;
use std::path::Path;

use crate::{done, refused, train};

fn output(dir: &Path, words: &[&str]) -> std::process::Output {
    let tiny = "--set model.kind=dense --set model.hidden=16 --limit 256 --device cpu --threads 1 --no-report";
    let words = tiny.split(' ').chain(words.iter().copied());
    train(dir).args(words).output().unwrap()
}

#[test]
fn a_quiet_run_says_where_it_is_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = output(dir.path(), &["--quiet", "--set", "train.epochs=1"]);
    let told = done(&quiet);
    let run = told.strip_suffix('\n').unwrap();
    assert!(run.starts_with("runs/quickstart-") && !run.contains('\n'), "{told}");
    assert!(dir.path().join(run).join("metrics.jsonl").exists());
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
    let grid = output(dir.path(), &["--quiet", "--set", "train.epochs=1", "--sweep", "seed=1,2", "--out", "grid"]);
    assert_eq!((done(&grid).as_str(), grid.stderr.len()), ("grid\n", 0));
    // What goes wrong is told nevertheless.
    let words = ["--quiet", "--device", "cpu", "--limit", "256", "--no-report"];
    let spoiled = train(dir.path()).args(words).env("VAE_FAULT", "loss@2").output().unwrap();
    refused(&spoiled, 1, &["step 2"]);
    refused(&output(dir.path(), &["--quiet", "--out", run]), 2, &[run]);
    // What is asked for is not kept quiet about.
    for asked in [&["--list-recipes"][..], &["--profile"], &["--dry-run", "--json"]] {
        refused(&output(dir.path(), &[&["--quiet"], asked].concat()), 2, &["--quiet", asked[asked.len() - 1]]);
    }
}

#[test]
fn a_profile_is_a_table_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let told = done(&output(dir.path(), &["--profile", "--set", "train.epochs=2", "--out", "run"]));
    let row = |kind: &str| {
        let line = told.lines().find(|line| line.starts_with('|') && line.contains(&format!(" {kind} |")));
        let cells = line.unwrap_or_else(|| panic!("{kind}: {told}")).split('|').map(str::trim);
        cells.skip(2).take(2).map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>()
    };
    let all = row("all");
    let kinds = ["data", "forward", "backward", "optimiser", "reading", "validation", "other"].map(row);
    for (i, all) in all.into_iter().enumerate() {
        let sum: f64 = kinds.iter().map(|seconds| seconds[i]).sum();
        assert!((sum - all).abs() < 0.04 && all > 0.0, "{told}");
    }
}

#[test]
fn tensorboard_has_a_file_of_every_start() {
    let dir = tempfile::tempdir().unwrap();
    done(&output(dir.path(), &["--tensorboard", "--set", "train.epochs=1", "--out", "run"]));
    let resume = ["--resume", "run", "--set", "train.epochs=2", "--tensorboard", "--no-report"];
    done(&train(dir.path()).args(resume).output().unwrap());
    let files = fs::read_dir(dir.path().join("run/tensorboard")).unwrap();
    let files: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let holds = |what: &[u8]| file.windows(what.len()).any(|bytes| bytes == what);
        assert!(holds(b"brain.Event:2") && holds(b"step/kl") && holds(b"validation/total") && holds(b"\x89PNG"));
    }
}
