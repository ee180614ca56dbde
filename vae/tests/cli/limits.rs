//! What the machine refuses: a full disk behind standard output, a reader that goes away, a folder that cannot be written, a name
//! that another process takes at the same time, more threads than cores. And the messages about values that are out of range.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{done, process, refused, train, vae, without_warnings};

const TINY: &str =
    "--limit 64 --device cpu --threads 1 --no-report --set model.kind=dense --set model.hidden=8 --set model.z_dim=3";

/// The options of a run of a moment.
fn tiny<'a>(epochs: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    TINY.split(' ').chain(["--set", epochs]).chain(more.iter().copied()).collect()
}

fn trained(dir: &Path, out: &str) {
    done(&train(dir).args(tiny("train.epochs=1", &["--out", out])).output().unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_of_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run");
    for (i, command) in [
        "evaluate run --images 65",
        "evaluate run --images 65 --json",
        "info run",
        "info run --json",
        "sample run -n 2 --png samples",
        "encode run test --out test.npz",
        "decode run test.npz --png decoded",
        "reconstruct run test --png reconstructed",
        "draw run kl",
        "report run",
        "export run --out weights.safetensors",
        "config",
        "paper --list",
        "completions bash",
        "completions elvish",
        "__complete vae tr",
        "train --list-recipes",
        "train --dry-run",
        "train --dry-run --json",
        "train --help",
        "--help",
        "--version",
    ]
    .into_iter()
    .map(|command| command.split(' ').collect::<Vec<_>>())
    .chain([[&["train"], &tiny("train.epochs=1", &["--quiet", "--out", "quiet"])[..]].concat()])
    .chain([[&["train"], &tiny("train.epochs=1", &["--out", "loud"])[..]].concat()])
    .enumerate()
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = process("vae", dir).args(&command).stdout(full).stderr(Stdio::piped()).output().unwrap();
        println!("{i}: {command:?}"); // shown if it fails
        refused(&without_warnings(output), 1, &["standard output cannot be written", "No space left"]);
    }
    for run in ["quiet", "loud"] {
        assert!(dir.join(run).join("checkpoints/best.safetensors").exists(), "the run {run} is saved nevertheless");
    }
}

/// The same command with a standard output that is closed, as by `>&-`.
#[cfg(unix)]
fn closed(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >&-", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

#[cfg(unix)]
#[test]
fn a_closed_standard_output_is_an_error_unless_there_is_nothing_to_print() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let loud = [&["train"], &tiny("train.epochs=1", &["--out", "run"])[..]].concat();
    let commands = ["info run", "evaluate run --images 65 --json", "train --dry-run --json", "--help"];
    for words in [loud].into_iter().chain(commands.map(|words| words.split(' ').collect())) {
        println!("{words:?}"); // shown if it fails
        let mut command = process("vae", dir);
        let output = closed(command.args(&words)).output().unwrap();
        refused(&without_warnings(output), 1, &["standard output cannot be written", "Bad file descriptor"]);
    }
    assert!(dir.join("run/checkpoints/best.safetensors").exists(), "the run is saved nevertheless");
    // An output that is thrown away is no error, whatever way it was opened.
    for writes_only in [true, false] {
        let null = fs::OpenOptions::new().write(true).read(!writes_only).open("/dev/null").unwrap();
        done(&process("vae", dir).args(["info", "run"]).stdout(null).output().unwrap());
    }
}

/// As `| head -1` does. Training goes on to its end.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_told_by_the_exit_code_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run");
    let training = tiny("train.epochs=1", &["--out", "unread"]);
    for command in [&["info", "run"][..], &["--help"], &[&["train"], &training[..]].concat()] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader); // before the command can write
        let output = process("vae", dir).args(command).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let told = (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
        assert_eq!(told, (Some(141), String::new()), "{command:?}");
    }
    assert!(dir.join("unread/checkpoints/best.safetensors").exists());
}

fn started(dir: &Path, words: &[&str]) -> Child {
    process("train", dir).args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts the same command six times at once.
fn six(dir: &Path, words: &[&str]) -> Vec<Output> {
    let children: Vec<Child> = (0..6).map(|_| started(dir, words)).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

#[test]
fn of_six_processes_that_name_one_folder_one_trains() {
    let dir = tempfile::tempdir().unwrap();
    for batch in ["runs/a", "runs/b"] {
        let outputs = six(dir.path(), &tiny("train.epochs=1", &["--quiet", "--out", batch]));
        let (won, lost): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
        assert_eq!(won.len(), 1, "{outputs:?}");
        for output in lost {
            let held = output.status.code() == Some(1);
            let says = if held { "another process uses this folder" } else { "contains a run already" };
            refused(output, if held { 1 } else { 2 }, &[batch, says, "--out"]);
        }
        assert_eq!(fs::read_to_string(dir.path().join(batch).join("metrics.jsonl")).unwrap().lines().count(), 1);
    }
}

#[test]
fn six_processes_that_name_no_folder_have_six() {
    let dir = tempfile::tempdir().unwrap();
    for batch in 1..=2 {
        let outputs = six(dir.path(), &tiny("train.epochs=1", &["--quiet"]));
        let folders: BTreeSet<String> = outputs.iter().map(|output| done(output).trim().to_owned()).collect();
        assert_eq!(folders.len(), 6, "{outputs:?}");
        for folder in folders {
            assert!(dir.path().join(folder).join("checkpoints/best.safetensors").exists());
        }
        assert_eq!(fs::read_dir(dir.path().join("runs")).unwrap().count(), 6 * batch);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_in_which_another_process_trains_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = started(dir.path(), &tiny("train.epochs=1000000", &["--quiet", "--out", "run"]));
    let start = Instant::now();
    while !dir.path().join("run/config.toml").exists() {
        assert!(start.elapsed() < Duration::from_secs(60) && first.try_wait().unwrap().is_none(), "it does not train");
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = train(dir.path()).args(tiny("train.epochs=1", &["--out", "run"])).output().unwrap();
    let resumed = train(dir.path()).args(["--resume", "run"]).output().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    refused(&second, 1, &["run: another process uses this folder", "--out"]);
    refused(&resumed, 1, &["run: another process is training there"]);
    assert!(dir.path().join("run/config.toml").exists());
}

/// Files in the place of folders and folders in the place of files, which nobody can write, not even root.
#[test]
fn what_cannot_be_kept_in_a_run_is_printed_nevertheless() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run");
    fs::write(dir.join("run/cache"), "").unwrap();
    fs::create_dir_all(dir.join("run/scores.json/in-the-way")).unwrap();
    let output = vae(dir, &["evaluate", "run", "--images", "65"]);
    assert!(done(&output).contains("\nmse "), "{output:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    let warnings: Vec<&str> = errors.lines().collect();
    assert!(warnings.iter().all(|line| line.starts_with("warning: ")), "{errors}");
    assert_eq!(warnings.iter().filter(|line| line.contains("run/cache/features-")).count(), 1, "{errors}");
    assert_eq!(warnings.iter().filter(|line| line.contains("scores.json: cannot be written")).count(), 1, "{errors}");
    let told = done(&vae(dir, &["evaluate", "run", "--images", "65", "--out", "elsewhere/a.json"]));
    assert!(told.ends_with("\nelsewhere/a.json\n"), "{told}");
    let scores: Value = serde_json::from_slice(&fs::read(dir.join("elsewhere/a.json")).unwrap()).unwrap();
    assert_eq!(scores["images"], 65);

    let before = fs::read_dir(dir.join("run")).unwrap().count();
    let told = done(&vae(dir, &["draw", "run", "kl", "--out", "figures/of/run"]));
    assert!(told.starts_with("figures/of/run/kl.png, figures/of/run/kl.svg: "), "{told}");
    done(&vae(dir, &["draw", "--out", "blends", "run", "pegasus", "--a", "0", "--b", "1"]));
    assert!(dir.join("blends/pegasus.json").exists() && dir.join("figures/of/run/kl.png").exists());
    assert_eq!(fs::read_dir(dir.join("run")).unwrap().count(), before);
    refused(&vae(dir, &["draw", "run", "kl", "--out", "run/cache/a"]), 1, &["run/cache/a", "cannot be created"]);
}

#[test]
fn a_quiet_run_tells_the_address_of_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let output = train(dir.path())
        .args(tiny("train.epochs=1", &["--quiet", "--live", "--out", "run"]))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    assert_eq!(done(&output), "run\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("live: http://127.0.0.1:") && errors.lines().count() == 1, "{errors}");
}

#[test]
fn a_batch_larger_than_the_data_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let plan = |batch: &str| {
        let batch = format!("train.batch_size={batch}");
        done(&train(dir.path()).args(tiny("train.epochs=1", &["--set", &batch, "--dry-run"])).output().unwrap())
    };
    let told = plan("1000000000");
    assert!(told.contains("batches of 64 (all images; train.batch_size = 1000000000 is more)"), "{told}");
    assert!(plan("64").contains("batches of 64, ") && plan("32").contains("batches of 32, "));
}

#[test]
fn more_threads_than_cores_are_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    let errors = |threads: usize| {
        let output =
            train(dir.path()).args(["--dry-run", "--device", "cpu", "--threads", &threads.to_string()]).output();
        let output = output.unwrap();
        done(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(errors(cores), "");
    let told = errors(cores + 1);
    assert!(told.starts_with(&format!("warning: --threads {}: this machine has {cores} cores", cores + 1)), "{told}");
}

#[test]
fn a_value_out_of_range_is_told_with_its_range() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (words, says) in [
        ("--set loss=3", "loss is a table of keys; set one of them, such as loss."),
        ("--seed 18446744073709551615", "--seed: seed must be a whole number of at most 9223372036854775807"),
        ("--seed -1", "--seed: seed must be a whole number, 0 or more, not -1"),
        ("--limit -3", "at least 1"),
    ] {
        let words: Vec<&str> = words.split(' ').chain(["--dry-run"]).collect();
        refused(&train(dir).args(&words).output().unwrap(), 2, &[says]);
    }
    trained(dir, "run");
    let conditional = ["--set", "model.conditional=true", "--set", "data.kind=shapes", "--out", "told"];
    done(&train(dir).args(tiny("train.epochs=1", &conditional)).output().unwrap());
    for (words, says) in [
        ("run --temperature -1", "--temperature <T>': it must be a number, 0 or more"),
        ("run --seed 18446744073709551616", "it must be a whole number from 0 to 18446744073709551615"),
        ("told --label dog", "--label: dog is not a label; labels are 0 to 2 (square, ellipse, heart)"),
        ("told --label 3", "--label: 3 is not a label; labels are 0 to 2 (square, ellipse, heart)"),
    ] {
        let words: Vec<&str> = ["sample"].into_iter().chain(words.split(' ')).chain(["--png", "x"]).collect();
        refused(&vae(dir, &words), 2, &[says]);
    }
    let first = |label: &str, out: &str| {
        done(&vae(dir, &["sample", "told", "-n", "1", "--label", label, "--png", out]));
        fs::read(dir.join(out).join("00000.png")).unwrap()
    };
    assert_eq!(first("heart", "by-name"), first("2", "by-number"));
    fs::write(dir.join("mine.png"), "not a picture").unwrap();
    let broken = vae(dir, &["encode", "run", "mine.png", "--out", "x.npz"]);
    refused(&broken, 1, &["mine.png", "neither JPEG, PNG, WebP nor BMP; --skip-damaged leaves out damaged pictures"]);
}
