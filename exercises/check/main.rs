//! Checks the exercises. The program `exercises` starts it; the arguments are those of that program, and `next`.
#![forbid(unsafe_code)]

mod help;
mod list;
#[path = "../solutions/mod.rs"]
mod solutions;
#[path = "../tasks/mod.rs"]
mod tasks;
#[cfg(test)]
mod tests;

use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use help::Verdict;
use list::{ALL, Exercise};

fn main() -> ExitCode {
    // A panic is part of the verdict, with the line of the task that it came from.
    panic::set_hook(Box::new(|panic| {
        let line = panic.location().and_then(|place| line_of_task(place.file(), place.line()));
        *LINE.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }));
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match arguments[..] {
        ["list"] => Ok(list_all()),
        ["next"] | ["check"] => Ok(show_next()),
        ["hint"] => Ok(next().map_or_else(all_solved, show_hint)),
        ["hint", name] => find(name).map(show_hint),
        ["check", name] => find(name).map(show),
        ["solution", name] => find(name).map(|exercise| {
            println!("{}", exercise.solution_text);
            true
        }),
        _ => Err("the arguments are list, next, hint [NAME], check [NAME] or solution NAME".to_owned()),
    };
    match found {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// The exercise of this name, or the only one whose name contains it.
fn find(name: &str) -> Result<&'static Exercise, String> {
    if let Some(exercise) = ALL.iter().find(|exercise| exercise.name == name) {
        return Ok(exercise);
    }
    match ALL.iter().filter(|exercise| exercise.name.contains(name)).collect::<Vec<_>>()[..] {
        [one] => Ok(one),
        [] => Err(format!("there is no exercise {name}; `cargo run -p exercises -- list` prints their names")),
        ref several => {
            let names: Vec<&str> = several.iter().map(|exercise| exercise.name).collect();
            Err(format!("{name} may be any of {}; write the whole name", names.join(", ")))
        }
    }
}

/// Where the last panic came from, if that was a task.
static LINE: Mutex<Option<u32>> = Mutex::new(None);

/// The line of a panic in this file, if the file is a task.
fn line_of_task(file: &str, line: u32) -> Option<u32> {
    let (folder, _) = file.rsplit_once(['/', '\\'])?;
    folder.ends_with("tasks").then_some(line)
}

/// What a check says. A panic, such as that of `todo!()`, is a verdict too.
fn verdict(check: fn() -> Verdict) -> Verdict {
    panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "the code panics".to_owned());
        let text = match text.as_str() {
            "attempt to subtract with overflow" => format!("{text}: a usize cannot be negative"),
            _ => text,
        };
        let line = LINE.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(line.map_or(text.clone(), |line| format!("{text}\n(line {line} of the file)")))
    })
}

fn next() -> Option<&'static Exercise> {
    ALL.iter().find(|exercise| verdict(exercise.task).is_err())
}

fn solved() -> usize {
    ALL.iter().filter(|exercise| verdict(exercise.task).is_ok()).count()
}

fn all_solved() -> bool {
    println!("All {} exercises are solved.", ALL.len());
    true
}

fn show_next() -> bool {
    let Some(exercise) = next() else { return all_solved() };
    println!("{} of {} exercises are solved.\n", solved(), ALL.len());
    show(exercise);
    true
}

/// Prints what is to be done and what is wrong, and returns whether the exercise is solved.
fn show(exercise: &Exercise) -> bool {
    println!("{}: {}", exercise.name, exercise.title());
    println!("  file     exercises/tasks/{}.rs", exercise.name);
    println!("  chapter  docs/book/src/{}", exercise.chapter_file());
    match verdict(exercise.task) {
        Ok(()) => {
            println!("\n  solved");
            true
        }
        Err(message) => {
            println!("\n  {}", message.replace('\n', "\n  "));
            println!("\n  hint     cargo run -p exercises -- hint {}", exercise.name);
            false
        }
    }
}

fn show_hint(exercise: &'static Exercise) -> bool {
    println!("{}: {}\n  {}", exercise.name, exercise.title(), exercise.hint());
    true
}

fn list_all() -> bool {
    let mut chapter = 0;
    for exercise in &ALL {
        if exercise.chapter() != chapter {
            chapter = exercise.chapter();
            println!("{chapter}. docs/book/src/{}", exercise.chapter_file());
        }
        let mark = if verdict(exercise.task).is_ok() { "x" } else { " " };
        println!("  [{mark}] {:22} {}", exercise.name, exercise.title());
    }
    println!("\n{} of {} exercises are solved.", solved(), ALL.len());
    true
}
