//! Runs that must write the same bytes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Job, alone, assert_same, errors, new_run, part, results, run};

#[test]
fn one_two_three_and_four_processes_write_the_same_bytes() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut expected = None;
    for size in 1..=4 {
        let out = dir.path().join(size.to_string());
        let settings = ["train.accumulate=2", "train.ema=0.9", "train.clip=300", "data.augment=flip"];
        let text = run(&out, size, &new_run(out.to_str().unwrap(), &settings));
        assert_eq!(text.matches("epoch 2/2").count(), 1, "one process prints: {text}");
        assert_eq!(text.contains("rank 1 "), size > 1, "{text}");
        let expected = expected.get_or_insert_with(|| results(&out));
        assert_same(&out, expected, &format!("{size} processes"));
    }
}

/// Asks the first process to stop, as Ctrl-C and batch systems do, and returns what was printed.
fn stop_soon(out: &Path, size: usize, words: &[&str]) -> String {
    let lines = || fs::read_to_string(out.join("steps.jsonl")).unwrap_or_default().lines().count();
    let before = lines();
    let job = Job::start(out, &[part(size, words)]);
    let start = job.start;
    while lines() < before + 2 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    job.signal(0, "INT");
    let (code, text, _) = job.end(start);
    assert_eq!(code, 130, "{text}");
    text
}

#[test]
fn four_processes_stop_two_go_on_and_one_ends_the_run() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let settings = ["train.epochs=6", "train.log_steps=1", "data.limit=480"];
    run(&whole, 1, &new_run(whole.to_str().unwrap(), &settings));
    let name = parts.to_str().unwrap();
    let text = stop_soon(&parts, 4, &new_run(name, &settings));
    assert!(text.contains("interrupted; the run is saved") && errors(&text).is_empty(), "{text}");
    let go_on = ["--resume", name, "--device", "cpu", "--threads", "1", "--no-report"];
    stop_soon(&parts, 2, &go_on);
    let lines = fs::read_to_string(parts.join("steps.jsonl")).unwrap().lines().count();
    assert!(lines < 120, "nothing is left for one process: {lines}");
    run(&parts, 1, &go_on);
    assert_same(&parts, &results(&whole), "4, 2, 1 processes");
}

/// A process that stands still for a while is waited for.
#[test]
fn a_slow_process_changes_nothing() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let [fast, slow] = ["fast", "slow"].map(|name| dir.path().join(name));
    let settings = ["train.epochs=4", "data.limit=240"];
    run(&fast, 1, &new_run(fast.to_str().unwrap(), &settings));
    let job = Job::start(&slow, &[part(3, &new_run(slow.to_str().unwrap(), &settings))]);
    job.wait_for("checkpoints/last.safetensors");
    job.signal(2, "STOP");
    std::thread::sleep(Duration::from_secs(5));
    job.signal(2, "CONT");
    let (code, text, seconds) = job.end(Instant::now());
    assert!(code == 0 && seconds < 60.0, "{text}");
    assert_same(&slow, &results(&fast), "a slow process");
}
