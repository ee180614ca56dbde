//! `vae completions`: scripts by which shells complete command lines.
//!
//! The scripts of bash, zsh and fish call the program itself, as `vae __complete vae train --se`, where the last word is the
//! one to complete. It prints a candidate and its description in a line, with a tab between. So these shells also complete
//! recipes after `--recipe`, and keys and their words after `--set`. The scripts of elvish and PowerShell know subcommands
//! and flags only.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, Command};
use clap_complete::Shell;
use vae_core::config::{Config, Key, Kind};
use vae_core::recipe::RECIPES;

use crate::console::print_line;
use crate::paper;

/// A test completes with the first of these lines.
const EXAMPLES: &str = "\
Examples, for the file that each shell reads at its start:
  source <(vae completions bash)
  source <(vae completions zsh)
  vae completions fish | source

Exit codes: 0 done, 2 bad usage.";

/// The word by which the scripts ask for candidates.
pub(super) const COMPLETE: &str = "__complete";

/// Prints a script by which a shell completes the command lines of vae and train.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the scripts for both programs.
pub(super) fn run(args: Args, programs: Vec<Command>) -> Result<ExitCode> {
    programs.into_iter().try_for_each(|program| print_script(args.shell, program))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the script for one program.
pub(super) fn print_script(shell: Shell, mut program: Command) -> Result<()> {
    let name = program.get_name().to_owned();
    let template = match shell {
        Shell::Bash => include_str!("completions/script.bash"),
        Shell::Zsh => include_str!("completions/script.zsh"),
        Shell::Fish => include_str!("completions/script.fish"),
        _ => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut program, name, &mut script);
            print_line(std::str::from_utf8(&script)?);
            return Ok(());
        }
    };
    print_line(template.replace("PROGRAM", &name).trim_end());
    Ok(())
}

/// Prints the candidates for the last of these words.
pub(super) fn print_candidates(program: Command, words: &[String]) -> ExitCode {
    candidates(program, words).iter().for_each(|(word, description)| print_line(&format!("{word}\t{description}")));
    ExitCode::SUCCESS
}

/// What the last of these words can become, each with a description. The first word is the program's name.
fn candidates(mut program: Command, words: &[String]) -> Vec<(String, String)> {
    program.build(); // hands global options down
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let mut command = &program;
    let mut option: Option<&Arg> = None; // the one whose value comes next
    for word in before.iter().skip(1) {
        option = match option {
            Some(_) => None,
            None if word.starts_with('-') => find_option(command, word).filter(|arg| arg.get_action().takes_values()),
            None => {
                command = command.find_subcommand(word).unwrap_or(command);
                None
            }
        };
    }
    let all = match (option, current.split_once('=')) {
        (Some(option), _) => values(option, current),
        (None, Some((name, value))) if name.starts_with("--") => {
            let values = find_option(command, name).map_or(Vec::new(), |option| values(option, value));
            values.into_iter().map(|(value, description)| (format!("{name}={value}"), description)).collect()
        }
        (None, _) if current.starts_with('-') => flags(command),
        _ => {
            let subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
            let described = subcommands.map(|command| (command.get_name().to_owned(), first_line(command.get_about())));
            described.chain(command.get_positionals().flat_map(|arg| values(arg, current))).collect()
        }
    };
    all.into_iter().filter(|(word, _)| word.starts_with(current.as_str())).collect()
}

/// The option of a word such as `--set`; none for `--set=…`, which has its value.
fn find_option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        let long = arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
        long || arg.get_short().is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])))
    })
}

fn flags(command: &Command) -> Vec<(String, String)> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown.filter_map(|arg| Some((format!("--{}", arg.get_long()?), first_line(arg.get_help())))).collect()
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

/// The values that an option or an argument can have, as far as they are known. Files are the shell's business.
fn values(arg: &Arg, current: &str) -> Vec<(String, String)> {
    let words = |words: &[(&str, &str)]| words.iter().map(|(word, doc)| ((*word).into(), doc.trim().into())).collect();
    match arg.get_id().as_str() {
        "recipe" => RECIPES.iter().map(|recipe| (recipe.name.into(), recipe.description().into())).collect(),
        "set" | "sweep" => settings(current),
        "by" | "key" => keys().into_iter().map(|key| (key.name.clone(), key.summary().into())).collect(),
        "device" => {
            keys().into_iter().filter(|key| key.name == "device").flat_map(|key| words(key.kind.words())).collect()
        }
        "data" | "pictures" => words(&[("train", ""), ("validation", ""), ("test", "")]),
        "name" => paper::known().map(|(name, _)| ((*name).into(), String::new())).collect(),
        _ => {
            let possible = arg.get_possible_values();
            possible.iter().map(|value| (value.get_name().into(), first_line(value.get_help()))).collect()
        }
    }
}

fn keys() -> Vec<Key> {
    Config::sections().into_iter().flat_map(|section| section.keys).collect()
}

/// What `loss.ki` and `loss.kind=beta,t` can become: keys with `=`, and the words of a key.
fn settings(current: &str) -> Vec<(String, String)> {
    let Some((names, list)) = current.split_once('=') else {
        let tied = current.rfind('+').map_or("", |plus| &current[..=plus]);
        return keys().iter().map(|key| (format!("{tied}{}=", key.name), key.summary().into())).collect();
    };
    let first = &current[..names.len() + 1 + list.rfind(',').map_or(0, |comma| comma + 1)];
    let Some(key) = keys().into_iter().find(|key| key.name == names) else { return Vec::new() };
    let words: &[(&str, &str)] = match key.kind {
        Kind::Boolean => &[("true", ""), ("false", "")],
        _ => key.kind.words(),
    };
    words.iter().map(|(word, doc)| (format!("{first}{word}"), doc.trim().to_owned())).collect()
}
