//! Processes that die, hang, diverge or differ. All of them end within 30 seconds, with one line that names the process, and the
//! last checkpoint is kept.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Job, alone, assert_same, errors, new_run, part, results, run};

/// Each process is killed at other moments. `VAE_MPI_KILLS` sets how often.
#[test]
fn a_killed_process_ends_all_and_the_run_goes_on_as_if_nothing_had_happened() {
    let _turn = alone();
    let kills = std::env::var("VAE_MPI_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let settings = ["train.epochs=8", "data.limit=480"];
    run(&whole, 1, &new_run(whole.to_str().unwrap(), &settings));
    let expected = results(&whole);
    for kill in 0..kills {
        let (out, victim) = (dir.path().join(format!("kill-{kill}")), kill % 4);
        let name = out.to_str().unwrap();
        let job = Job::start(&out, &[part(4, &new_run(name, &settings))]);
        // Some time in an epoch, or while its files are written; before the last two epochs, so that the run has not ended.
        job.wait_for_lines("metrics.jsonl", kill % 6);
        std::thread::sleep(Duration::from_millis((kill as u64 * 61) % 150));
        job.signal(victim, "KILL");
        let (code, text, seconds) = job.end(Instant::now());
        assert!(seconds < 30.0, "{seconds} s: {text}");
        assert!(code != 0, "rank {victim} was not killed in time: {text}");
        // mpirun sees the end of a process before the others do.
        let named =
            text.lines().filter(|line| line.contains(&format!("process rank {victim} ")) && line.contains("signal 9"));
        assert!(named.count() == 1 || text.contains(&format!("rank {victim} with PID")), "{text}");
        run(&out, 1 + kill % 3, &["--resume", name, "--device", "cpu", "--threads", "1", "--no-report"]);
        assert_same(&out, &expected, &format!("after kill {kill} of rank {victim}"));
    }
}

#[test]
fn a_process_that_hangs_is_named_and_ends_all() {
    let _turn = alone();
    for victim in [0, 2] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run");
        let mut words = part(3, &new_run(out.to_str().unwrap(), &["train.epochs=1000", "data.limit=4800"]));
        let limit = if victim == 0 { 20 } else { 7 };
        if victim > 0 {
            words.splice(0..0, ["-x".to_owned(), "VAE_MPI_TIMEOUT=7".to_owned()]);
        }
        let job = Job::start(&out, &[words]);
        job.wait_for("checkpoints/best.safetensors");
        std::thread::sleep(Duration::from_millis(700)); // in the steps of the next epoch, while no file is written
        job.signal(victim, "STOP");
        let (code, text, seconds) = job.end(Instant::now());
        assert!(code != 0 && seconds < 30.0, "{seconds} s: {text}");
        let lines = errors(&text);
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].starts_with(&format!("error: rank {victim} on ")), "{}", lines[0]);
        let silent = lines[0].split("has made no progress for ").nth(1).and_then(|rest| rest.split(' ').next());
        let silent: u64 = silent.and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
        assert!((limit..limit + 10).contains(&silent), "{}", lines[0]);
        run(&out, 1, &["--resume", out.to_str().unwrap(), "--dry-run"]);
    }
}

/// Starts three processes, of which the last has other words, and returns the only line of error.
fn refused(out: &Path, last: &[&str]) -> String {
    let words = new_run(out.to_str().unwrap(), &[]);
    let job = Job::start(out, &[part(2, &words), part(1, &[&words, last].concat())]);
    let start = job.start;
    let (code, text, seconds) = job.end(start);
    assert!(code != 0 && seconds < 30.0, "{seconds} s: {text}");
    let lines = errors(&text);
    assert_eq!(lines.len(), 1, "{text}");
    lines[0].to_owned()
}

/// Writes a folder of uncompressed pictures of 16×16 pixels, which differ by their number and by `seed`.
fn pictures(folder: &Path, seed: usize) {
    fs::create_dir_all(folder).unwrap();
    for picture in 0..72 {
        let mut bytes = b"BM".to_vec();
        for number in [54 + 768, 0, 54, 40, 16, 16, 1 | 24 << 16, 0, 768, 2835, 2835, 0, 0_u32] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((0..768).map(|i| ((i * (picture + 3) + seed) % 251) as u8));
        fs::write(folder.join(format!("{picture}.bmp")), bytes).unwrap();
    }
}

#[test]
fn processes_that_differ_are_refused_before_the_first_step() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let line = refused(&out, &["--seed", "2"]);
    assert!(line.contains("rank 2 on ") && line.contains("has another configuration than rank 0: seed = 2"), "{line}");
    assert!(!out.exists(), "nothing was written");

    let [here, there] = ["here", "there"].map(|name| dir.path().join(name));
    pictures(&here, 0);
    pictures(&there, 1);
    let settings = ["data.kind=folder", "data.crop=none", "data.limit=48"];
    let words = |data: &Path| {
        let mut words: Vec<String> = new_run(out.to_str().unwrap(), &settings).into_iter().map(str::to_owned).collect();
        words.extend(["--data-dir".to_owned(), data.display().to_string()]);
        words
    };
    let start = |last: &Path| {
        let parts = [(2, words(&here)), (1, words(last))];
        let parts = parts.map(|(size, words)| part(size, &words.iter().map(String::as_str).collect::<Vec<_>>()));
        let job = Job::start(&out, &parts);
        let start = job.start;
        job.end(start)
    };
    let (code, text, _) = start(&there);
    let lines = errors(&text);
    assert!(code != 0 && lines.len() == 1, "{text}");
    assert!(lines[0].contains("rank 2 on ") && lines[0].contains("has other images or labels than rank 0"), "{text}");
    // A folder that only one process lacks.
    let (code, text, seconds) = start(&dir.path().join("nowhere"));
    let lines = errors(&text);
    assert!(code != 0 && lines.len() == 1 && seconds < 30.0, "{text}");
    assert!(lines[0].starts_with("error: rank 2 on ") && lines[0].contains("nowhere"), "{text}");
    // The same pictures in another place are no difference.
    fs::remove_dir_all(&there).unwrap();
    pictures(&there, 0);
    let (code, text, _) = start(&there);
    assert!(code == 0 && errors(&text).is_empty(), "{text}");
}

#[test]
fn divergence_is_told_once_and_names_the_process() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let words = new_run(out.to_str().unwrap(), &[]);
    let mut last = part(1, &words);
    last.splice(0..0, ["-x".to_owned(), "VAE_FAULT=gradient@5".to_owned()]);
    let job = Job::start(&out, &[part(2, &words), last]);
    let start = job.start;
    let (code, text, seconds) = job.end(start);
    let lines = errors(&text);
    assert!(code == 1 && lines.len() == 1 && seconds < 30.0, "{code}: {text}");
    assert!(lines[0].starts_with("error: on rank 2, the gradient of ") && lines[0].contains("at step 5"), "{text}");
    assert!(lines[0].contains("the last good weights are in "), "{text}");
}

/// Returns how many GiB each of `size` processes may use, from the line that refuses a run that needs too much.
fn free_memory(out: &Path, size: usize) -> f64 {
    let settings = ["train.shards=4", "model.width=4096"];
    let job = Job::start(out, &[part(size, &new_run(out.to_str().unwrap(), &settings))]);
    let start = job.start;
    let (code, text, _) = job.end(start);
    let number = text.split("but only ").nth(1).and_then(|rest| rest.split(' ').next());
    assert!(code == 2 && errors(&text).len() == 1, "{code}: {text}");
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn processes_of_one_machine_share_its_memory() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let [one, four] = [1, 4].map(|size| free_memory(&dir.path().join("run"), size));
    assert!((0.15..0.35).contains(&(four / one)), "one process may use {one} GiB, each of four {four} GiB");
}

#[test]
fn mistakes_of_the_command_line_are_told_once() {
    let _turn = alone();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    for (settings, words) in [
        (["train.shards=2"].as_slice(), "train.shards = 2: 3 processes need at least 3 shards"),
        (&["train.shards=7"], "train.shards = 7"),
        (&["no.such=1"], "no.such"),
    ] {
        let job = Job::start(&out, &[part(3, &new_run(out.to_str().unwrap(), settings))]);
        let start = job.start;
        let (code, text, seconds) = job.end(start);
        let lines = errors(&text);
        assert!(code == 2 && lines.len() == 1 && seconds < 30.0, "{code}: {text}");
        assert!(lines[0].contains(words), "{text}");
    }
    let job = Job::start(&out, &[part(2, &["--sweep", "seed=1,2", "--out", out.to_str().unwrap()])]);
    let start = job.start;
    let (code, text, _) = job.end(start);
    assert!(code == 2 && errors(&text).len() == 1 && text.contains("--sweep trains one run after the other"), "{text}");
}
