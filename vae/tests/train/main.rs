//! The `train`, `draw` and other commands as a user meets them, a chapter a file: one test program, so that it is linked once.
#![forbid(unsafe_code)]

mod cli;
mod codes;
mod data;
mod draw;
mod evaluate;
mod explore;
mod export;
mod gpu;
mod kinds;
mod live;
mod manner;
mod paper;
mod recipes;
mod report;
mod resume;
mod shapes;
mod sweep;
mod web;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;

/// The command in a folder, without the user's environment.
fn train(dir: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("train"));
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
