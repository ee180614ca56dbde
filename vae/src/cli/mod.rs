//! The command line of the programs `vae` and `train`, a file for each subcommand.
//!
//! Each subcommand has a struct `Args`, the options that it takes, and a function `run`. This file holds what they share: the
//! list of subcommands, the help of `vae`, parsing, and the end of the process. Results go to stdout, everything else to
//! stderr. Every error is one line. The exit codes are 0 for success, 1 for a failure, 2 for bad usage or configuration, 130 after
//! an interruption, and 141 if the reader of stdout went away, as after `| head -1`. A shell reports 141 for any program that ends
//! by SIGPIPE. Ours finish their work first.

mod completions;
mod config;
mod decode;
mod doctor;
mod draw;
mod encode;
mod evaluate;
mod explore;
mod export;
mod fit_prior;
mod info;
mod input;
mod load;
mod output;
mod paper;
mod png_names;
mod reconstruct;
mod report;
mod sample;
mod train;

use std::ffi::OsString;
use std::io::{ErrorKind as IoErrorKind, IsTerminal};
use std::ops::ControlFlow;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use vae_core::{Error, Result};

use crate::console::{self, eprint_line};
use crate::session::Ranks;

/// The subcommands in the order of the help, by what a person wants to do.
const GROUPS: &[(&str, &[&str])] = &[
    ("Train", &["train", "fit-prior", "paper", "config"]),
    ("Look", &["report", "doctor", "draw", "explore", "info"]),
    ("Measure", &["evaluate"]),
    ("Use", &["encode", "decode", "reconstruct", "sample", "export"]),
    ("Other", &["completions"]),
];

/// The text after the list of subcommands.
const AFTER_HELP: &str = "\
vae COMMAND --help describes a command and shows examples. The program train is the same as vae train.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 130 interrupted, 141 nobody read standard output to its end.";

/// Help is wrapped at this width, at most.
const HELP_WIDTH: usize = 110;

/// Trains variational autoencoders, draws and measures them, and uses what they learnt.
#[derive(Debug, Parser)]
#[command(name = "vae", version, after_help = AFTER_HELP, max_term_width = HELP_WIDTH, subcommand_value_name = "COMMAND")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Box<train::Args>),
    FitPrior(fit_prior::Args),
    Paper(paper::Args),
    Config(config::Args),
    Report(report::Args),
    Doctor(doctor::Args),
    Draw(draw::Args),
    Explore(explore::Args),
    Info(info::Args),
    Evaluate(evaluate::Args),
    Encode(encode::Args),
    Decode(decode::Args),
    Reconstruct(reconstruct::Args),
    Sample(sample::Args),
    Export(export::Args),
    Completions(completions::Args),
}

/// Runs the program `vae` with these words of the command line, the program's name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(words) = words_to_complete(&words) {
        return exit(Ok(completions::print_candidates(vae_command(), &words)));
    }
    let words = draw::with_explicit_folder(words);
    exit(parse::<Cli>(vae_command(), words).map_err(Into::into).and_then(|parsed| match parsed {
        ControlFlow::Break(code) => Ok(code),
        ControlFlow::Continue(cli) => run(cli.command),
    }))
}

/// Runs the program `train`, which is `vae train`, with these words of the command line, the program's name first.
pub fn train_main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    if let Some(words) = words_to_complete(&words) {
        return exit(Ok(completions::print_candidates(train_command(), &words)));
    }
    exit(parse::<train::Args>(train_command(), words).map_err(Into::into).and_then(|parsed| match parsed {
        ControlFlow::Break(code) => Ok(code),
        ControlFlow::Continue(args) => run(Command::Train(Box::new(args))),
    }))
}

/// Runs `vae-mpi train` or `vae-mpi evaluate`, which are `vae train` and `vae evaluate` in one of several processes, with the words
/// after `evaluate` or `train`.
///
/// # Errors
/// What the command returns. The caller decides which process prints it.
pub fn run_on_ranks(is_train: bool, words: Vec<OsString>, ranks: &Ranks) -> anyhow::Result<ExitCode> {
    if !ranks.is_first() {
        console::mute();
    }
    let words = [OsString::from("vae-mpi")].into_iter().chain(words);
    if !is_train {
        let command = clap::Command::new("evaluate").bin_name("vae-mpi evaluate").max_term_width(HELP_WIDTH);
        let command = takes_negative(evaluate::Args::augment_args(command));
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let command = command.after_help(examples.replace("  vae evaluate", "  vae-mpi evaluate"));
        return match parse::<evaluate::Args>(command, words)? {
            ControlFlow::Break(code) => Ok(code),
            ControlFlow::Continue(args) => evaluate::run(args, ranks),
        };
    }
    let command = train_command().bin_name("vae-mpi train");
    match parse::<train::Args>(command, words)? {
        ControlFlow::Break(code) => Ok(code),
        ControlFlow::Continue(args) if args.completions.is_some() => {
            Err(Error::config("--completions is an option of vae train; leave it out").into())
        }
        ControlFlow::Continue(args) => train::run(args, ranks),
    }
}

/// Returns the line and the exit code of an error.
pub fn describe_error(error: &anyhow::Error) -> (String, u8) {
    let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    (line, error.downcast_ref::<Error>().map_or(1, Error::exit_code))
}

/// The words of the command line that a shell's script asks to complete.
fn words_to_complete(words: &[OsString]) -> Option<Vec<String>> {
    let [_, first, rest @ ..] = words else { return None };
    (first == completions::COMPLETE).then(|| rest.iter().map(|word| word.to_string_lossy().into_owned()).collect())
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    gpu::prepare_process(); // before any thread starts: it sets environment variables
    match command {
        Command::Train(args) => match args.completions {
            Some(shell) => completions::print_script(shell, train_command()).map(|()| ExitCode::SUCCESS),
            None => train::run(*args, &Ranks::alone()),
        },
        Command::FitPrior(args) => fit_prior::run(args),
        Command::Paper(args) => paper::run(args),
        Command::Config(args) => config::run(args),
        Command::Report(args) => report::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Draw(args) => draw::run(args),
        Command::Explore(args) => explore::run(args),
        Command::Info(args) => info::run(args),
        Command::Evaluate(args) => evaluate::run(args, &Ranks::alone()),
        Command::Encode(args) => encode::run(args),
        Command::Decode(args) => decode::run(args),
        Command::Reconstruct(args) => reconstruct::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Export(args) => export::run(args),
        Command::Completions(args) => completions::run(args, vec![vae_command(), train_command()]),
    }
}

/// The command line of `vae`. clap has no groups of subcommands, so the help lists them itself.
fn vae_command() -> clap::Command {
    // `vae` alone shows the help. A subcommand without its arguments is refused with a line that names them.
    let command = Cli::command().mut_subcommands(|subcommand| takes_negative(subcommand.arg_required_else_help(false)));
    let mut groups = String::new();
    for (title, names) in GROUPS {
        groups += &format!("{title}:\n");
        for name in *names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            groups += &format!("  {name:11}  {}\n", about.map(ToString::to_string).unwrap_or_default());
        }
        groups.push('\n');
    }
    let template =
        format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options:\n{{options}}{{after-help}}");
    command.help_template(template)
}

/// The command line of `train`: that of `vae train`, by its shorter name.
fn train_command() -> clap::Command {
    let command = takes_negative(train::Args::augment_args(clap::Command::new("train").max_term_width(HELP_WIDTH)));
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command.after_help(train::short_name(&examples))
}

/// A value such as -1 is read as a value, not as an unknown option. So it is refused with the range of its option.
fn takes_negative(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| if arg.get_action().takes_values() { arg.allow_negative_numbers(true) } else { arg })
}

/// Parses the words of a command line. Help and the version are printed; then there is only an exit code.
///
/// # Errors
/// What clap reports, on one line.
fn parse<T: FromArgMatches>(
    mut command: clap::Command,
    words: impl IntoIterator<Item = OsString>,
) -> Result<ControlFlow<ExitCode, T>> {
    let parsed = command.try_get_matches_from_mut(words).and_then(|matches: ArgMatches| T::from_arg_matches(&matches));
    let error = match parsed {
        Ok(parsed) => return Ok(ControlFlow::Continue(parsed)),
        Err(error) => error,
    };
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand) {
        if console::is_mute() {
            return Ok(ControlFlow::Break(ExitCode::SUCCESS));
        }
        // clap does not tell of a pipe that is closed. It prints to terminals, where it uses bold type.
        let printed = match error.use_stderr() || std::io::stdout().is_terminal() {
            true => error.print(),
            false => console::write_stdout(&error.render().to_string()),
        };
        console::note(printed);
        return Ok(ControlFlow::Break(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))));
    }
    // clap explains over several lines, then shows the usage; what it says before that, and its tip, fit on one.
    let text = error.to_string();
    let before_usage = text.split("\n\nUsage:").next().unwrap_or_default();
    let words =
        before_usage.replace("For more information, try '--help'.", "").replace("error: ", "").replace("tip: ", "; ");
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ;", ";");
    Err(Error::config(format!("{line}; try --help")))
}

/// The exit code of a command. An error is printed on stderr, on one line. Results that could not be printed are an error, too.
fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    let code = result.unwrap_or_else(|error| {
        let (line, code) = describe_error(&error);
        eprint_line(&format!("error: {line}"));
        code.into()
    });
    match console::finish_stdout() {
        Some(error) if code == ExitCode::SUCCESS => match error.kind() {
            IoErrorKind::BrokenPipe => ExitCode::from(141),
            _ => {
                eprint_line(&format!(
                    "error: standard output cannot be written: {error}; what was printed is incomplete"
                ));
                ExitCode::FAILURE
            }
        },
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_of_the_command_lines_are_valid() {
        vae_command().debug_assert();
        train_command().debug_assert();
    }

    #[test]
    fn every_subcommand_is_in_exactly_one_group_of_the_help() {
        let command = vae_command();
        let visible = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
        let mut names: Vec<&str> = visible.map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let help = command.clone().render_long_help().to_string();
        for name in &grouped {
            let line = help.lines().find(|line| line.starts_with(&format!("  {name} ")));
            assert!(line.is_some_and(|line| line.len() > name.len() + 20), "{name} is not described: {help}");
        }
        names.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, names);
    }

    /// Most examples are run by other tests. This one needs no run, and covers the pages too, which end only by Ctrl-C.
    #[test]
    fn the_examples_in_the_help_are_understood() {
        let mut count = 0;
        for subcommand in vae_command().get_subcommands() {
            let text = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in text.lines().filter_map(|line| line.strip_prefix("  vae ")) {
                let words = example.split("  ").next().unwrap_or_default().split(' ');
                let words = words.take_while(|word| ![">", "|"].contains(word)); // the shell's
                let words = ["vae"].into_iter().chain(words).map(Into::into);
                let parsed = parse::<Cli>(vae_command(), words);
                assert!(matches!(parsed, Ok(ControlFlow::Continue(_))), "{example}");
                count += 1;
            }
        }
        assert!(count > 35, "{count}");
    }

    #[test]
    fn the_program_train_calls_itself_by_its_own_name() {
        let help = train_command().render_long_help().to_string();
        assert!(
            help.contains("Usage: train [OPTIONS]") && help.contains("\n  train --live") && !help.contains("vae train"),
            "{help}"
        );
    }
}
