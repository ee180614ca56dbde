//! The programs `train` and `vae` as a user meets them, a file for each part. They are one test program, so that it is linked once.
#![forbid(unsafe_code)]

mod cli_flags;
mod codes;
mod completions;
mod config;
mod data;
mod doctor;
mod draw;
mod evaluate;
mod explore;
mod export;
mod gpu;
mod kinds;
mod limits;
mod live;
mod paper;
mod priors;
mod recipes;
mod report;
mod resume;
mod self_contained;
mod shapes;
mod sweep;
mod train;
mod train_runs;
mod web;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// The program `train` in a folder, without the user's environment.
fn train(dir: &Path) -> Command {
    Command::from_std(process("train", dir))
}

/// What `vae` prints, called with these words in a folder, without the user's environment.
fn vae(dir: &Path, words: &[&str]) -> Output {
    process("vae", dir).args(words).output().unwrap()
}

/// One of the two programs as a process of its own.
fn process(program: &str, dir: &Path) -> std::process::Command {
    let path = match program {
        "train" => assert_cmd::cargo::cargo_bin!("train"),
        _ => assert_cmd::cargo::cargo_bin!("vae"),
    };
    let mut command = std::process::Command::new(path);
    std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VAE_")).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.current_dir(dir);
    command
}

/// Asserts success, and gives what was printed.
#[track_caller]
fn done(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that `--dry-run` was understood, and gives what was printed. It fails if images are missing, as they are in the tests.
#[track_caller]
fn planned(output: &Output) -> String {
    if output.status.code() == Some(1) {
        refused(output, 1, &["cannot start", "not found"]);
        return String::from_utf8(output.stdout.clone()).unwrap();
    }
    done(output)
}

/// What a command printed, without the warning that its model is no better than the mean image. Models that tests train for a
/// moment are not.
fn without_warnings(mut output: Output) -> Output {
    let errors = String::from_utf8(output.stderr).unwrap();
    let is_other =
        |line: &&str| !line.starts_with("warning: the reconstructions of test images are no better than the mean");
    output.stderr = errors.split_inclusive('\n').filter(is_other).collect::<String>().into_bytes();
    output
}

/// Asserts an exit code and exactly one line on stderr that holds all of `words`.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.starts_with("error: ") && errors.trim_end().lines().count() == 1, "not one line: {errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} is not in: {errors}");
    }
    assert!(!errors.contains("panicked"), "{errors}");
}
