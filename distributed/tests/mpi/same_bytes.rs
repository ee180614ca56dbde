//! Runs that must write the same bytes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Job, alone, assert_same, command, errors, new_run, part, results, run};

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

/// The scores of a run are those of one process: the losses, samples, distances and likelihoods, in all digits.
#[test]
fn evaluation_by_several_processes_gives_the_scores_of_one() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let name = out.to_str().unwrap();
    // Digits have a built-in classifier, and with gaussian pixels there is a likelihood.
    let settings = ["data.kind=digits", "loss.reconstruction=gaussian", "data.image_size=28"];
    let settings = [&settings[..], &["model.kind=basic", "model.widths=4,8", "data.limit=120"]].concat();
    run(&out, 1, &new_run(name, &settings));
    let scores = |size: usize| {
        let file = dir.path().join(format!("{size}.json"));
        let words = [name, "--images", "50", "--nll-samples", "20", "--nll-images", "7", "--device", "cpu"];
        let words = [&words[..], &["--threads", "1", "--out", file.to_str().unwrap()]].concat();
        let job = Job::start(&out, &[command("evaluate", size, &words)]);
        let start = job.start;
        let (code, text, _) = job.end(start);
        assert!(code == 0 && errors(&text).is_empty(), "{text}");
        assert_eq!(text.matches("frechet_distance ").count(), 1, "one process prints: {text}");
        fs::read_to_string(&file).unwrap()
    };
    let alone = scores(1);
    for name in ["\"kl\"", "\"frechet_distance\"", "\"nll\"", "\"kid\"", "\"ssim\""] {
        assert!(alone.contains(name), "{name}: {alone}");
    }
    for size in [2, 3] {
        assert!(scores(size) == alone, "{size} processes");
    }
    // Processes with other options would wait for each other.
    let last = command("evaluate", 1, &[name, "--device", "cpu", "--images", "51"]);
    let job = Job::start(&out, &[command("evaluate", 1, &[name, "--device", "cpu", "--images", "50"]), last]);
    let start = job.start;
    let (code, text, seconds) = job.end(start);
    assert!(
        code != 0 && seconds < 30.0 && text.contains("rank 1 on ") && text.contains("has another config"),
        "{text}"
    );
}
