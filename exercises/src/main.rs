//! The exercises of the book: shows the next one, and checks it again whenever its file changes.
//!
//!     cargo run -p exercises                    shows the next exercise and watches the files
//!     cargo run -p exercises -- list            all exercises, and which of them are solved
//!     cargo run -p exercises -- hint [NAME]     a hint, for the next exercise if there is no name
//!     cargo run -p exercises -- check [NAME]    checks one exercise, or the next, once
//!     cargo run -p exercises -- solution NAME   prints a solution
//!
//! Everything except watching is done by the program `check`, which this one compiles and starts.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime};
use std::{env, fs, io, thread};

const USAGE: &str = "usage: cargo run -p exercises [-- list | hint [NAME] | check [NAME] | solution NAME]";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        None => watch(),
        Some("list" | "hint" | "check" | "solution") if arguments.len() <= 2 => check(&arguments),
        Some("-h" | "--help" | "help") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some(_) => {
            eprintln!("error: {} is not known\n{USAGE}", arguments.join(" "));
            ExitCode::from(2)
        }
    }
}

/// Compiles and starts `check` with these arguments. What it prints, and what the compiler says about a file, goes to the terminal.
fn check<S: AsRef<str>>(arguments: &[S]) -> ExitCode {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args(["run", "--quiet", "--package", "exercises", "--bin", "check", "--manifest-path"]);
    command.arg(folder().join("Cargo.toml")).arg("--").args(arguments.iter().map(AsRef::as_ref));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            // Cargo's code if it could not compile. `check` itself ends with 1 or 2.
            if status.code() == Some(101) {
                println!(
                    "\nA file does not compile, so no exercise can be checked. Begin with the first error above. It names the file and the \
                     line."
                );
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: cannot start {}: {error}; is Rust installed?", Path::new(&cargo).display());
            ExitCode::FAILURE
        }
    }
}

/// Checks, and checks again whenever a file changes, until the reader types q.
fn watch() -> ExitCode {
    let keys = read_lines();
    let mut seen = newest();
    check(&["next"]);
    println!("\nThe files are watched. Type h for a hint, l for the list, q to stop, and press enter.");
    loop {
        match keys.recv_timeout(Duration::from_millis(500)).as_deref() {
            Ok("q" | "quit") => return ExitCode::SUCCESS,
            Ok("h" | "hint") => drop(check(&["hint"])),
            Ok("l" | "list") => drop(check(&["list"])),
            Ok("") => drop(check(&["next"])),
            Ok(other) => println!("{other} is not known: type h, l or q, or nothing to check again"),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // Nobody can type here, as in a test. The files are still watched.
            Err(mpsc::RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(500)),
        }
        let now = newest();
        if now != seen {
            seen = now;
            println!("\n--------------------------------------------------\n");
            check(&["next"]);
        }
    }
}

/// The lines that the reader types, from a thread of their own.
fn read_lines() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The folder of this crate. The program is run by `cargo run`, so the sources are where they were compiled.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The time of the last change of any task.
fn newest() -> Option<SystemTime> {
    let entries = fs::read_dir(folder().join("tasks")).ok()?;
    entries.flatten().filter_map(|entry| entry.metadata().ok()?.modified().ok()).max()
}
