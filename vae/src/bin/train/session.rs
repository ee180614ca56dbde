//! The command from start to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use vae::command;
use vae::config::Config;
use vae::data::Dataset;
use vae::device::{self, Chosen};
use vae::learn;
use vae::model::Summary;
use vae::recipe::RECIPES;
use vae::run::{Folder, LAST, Outcome, Past};
use vae::serve::Place;
use vae::session::plan::Plan;
use vae::session::{catch_signals, eprint_line, initialised, memory, run_in};
use vae::transfer::Frozen;
use vae::{Error, say};

use crate::cli::Cli;
use crate::download;
use crate::resume::{self, Resumed};
use crate::sweep;

/// Does what the command line asks, and says how it ended.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    if let Some(shell) = cli.completions {
        return completions(shell);
    }
    if cli.quiet {
        command::hush();
    }
    if cli.list_recipes {
        let width = RECIPES.iter().map(|recipe| recipe.name.len()).max().unwrap_or(0);
        RECIPES.iter().for_each(|recipe| say!("{:width$}  {}", recipe.name, recipe.description()));
        return Ok(ExitCode::SUCCESS);
    }
    if !cli.live && cli.page != Place::default() {
        return Err(Error::config("--port and --host say where a page is served: there is one with --live").into());
    }
    let resumed = cli.resume.as_ref().map(|run| Resumed::read(&cli, run)).transpose()?;
    if !cli.sweep.is_empty() {
        return sweep::main(&cli);
    }
    let config = resumed.as_ref().map_or_else(|| cli.config(), |resumed| Ok(resumed.config.clone()))?;
    config.check()?;
    let chosen = device::choose(config.device, device::start_threads(cli.threads)?)?;
    resumed.iter().for_each(|resumed| resumed.compare(&chosen));
    if chosen.computes_in_memory() {
        config.check_memory(memory::available())?;
    }
    if cli.download {
        download::fetch(&config)?;
    }
    match cli.dry_run {
        true => dry_run(&cli, &config, &chosen),
        false => train(&cli, config, &chosen, resumed.map(|resumed| resumed.past)),
    }
}

/// A script for a shell, which completes this command there.
fn completions(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "train", &mut script);
    command::answer(std::str::from_utf8(&script)?);
    Ok(ExitCode::SUCCESS)
}

fn dry_run(cli: &Cli, config: &Config, chosen: &Chosen) -> Result<ExitCode> {
    let start = Instant::now();
    let dataset = match Dataset::load(config) {
        Err(error) if !Dataset::is_there(config) => Err(error.to_string()),
        dataset => Ok(dataset?),
    };
    let seconds = start.elapsed().as_secs_f64();
    if let Some(out) = &cli.out {
        Folder::prepare(&folder_path(Some(out), &config.name)?)?; // and gone again
    }
    // An encoder that is not there yet is told as missing data are: a dry run counts without either.
    let file = Path::new(&config.model.init_encoder);
    let absent = !config.model.init_encoder.is_empty() && !file.exists();
    let (model, encoder) = match absent {
        true => (learn::build(config), Some(Err(format!("{}: not found", file.display())))),
        false => initialised(config).map(|(model, encoder)| (model, encoder.map(Ok)))?,
    };
    let summary = Summary::new(config, &*model);
    let frozen = if absent { None } else { Frozen::of(&*model)? };
    let (encoder, frozen) = (encoder.as_ref().map(Result::as_ref), frozen.as_ref());
    let data = dataset.as_ref().map_err(Clone::clone);
    let plan = Plan { config, summary: &summary, encoder, frozen, chosen, data, seconds };
    if cli.json {
        say!("{}", plan.json());
    } else {
        plan.print();
        plan.print_layers();
        say!("\nNothing was trained: --dry-run.");
    }
    Ok(ExitCode::SUCCESS)
}

fn train(cli: &Cli, config: Config, chosen: &Chosen, past: Option<Past>) -> Result<ExitCode> {
    catch_signals()?;
    let path = cli.resume.clone().map_or_else(|| folder_path(cli.out.as_deref(), &config.name), Ok)?;
    if past.as_ref().is_some_and(|past| past.is_finished(&config)) {
        say!("{}: this run is finished; nothing is left to train", path.display());
    }
    let outcome = run_in(config, chosen, &path, past, cli.extras())?;
    if cli.quiet {
        command::answer(&path.display().to_string());
    }
    if outcome != Outcome::Interrupted {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_line(&match path.join(LAST).exists() {
        true => format!("interrupted: it is saved; to go on: {}", resume::command(&path)),
        false => "interrupted before the first step: nothing was kept".to_owned(),
    });
    Ok(ExitCode::from(130))
}

/// `--out`, or a folder under `runs/` that is named after the recipe and the time and is not there yet.
pub(crate) fn folder_path(out: Option<&Path>, name: &str) -> Result<PathBuf> {
    if let Some(out) = out {
        if out.as_os_str().is_empty() {
            return Err(Error::config("--out: is empty; name a folder").into());
        }
        return Ok(out.to_owned());
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let base = format!("{name}-{}", stamp(seconds));
    let names = std::iter::once(base.clone()).chain((2_u64..).map(|k| format!("{base}-{k}")));
    let mut paths = names.map(|name| Path::new("runs").join(name));
    Ok(paths.find(|path| !path.exists()).unwrap_or_else(|| PathBuf::from(base)))
}

/// Seconds since 1970 as `YYYYMMDD-HHMMSS`, UTC (Hinnant's days to civil date).
fn stamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100); // from 1 March
    let month = (5 * of_year + 2) / 153;
    let (d, m) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let y = year + era * 400 + u64::from(m <= 2);
    format!("{y:04}{m:02}{d:02}-{:02}{:02}{:02}", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn stamps_are_civil_dates() {
        for (seconds, date) in [
            (0, "19700101-000000"),
            (951_782_400, "20000229-000000"),
            (1_795_262_445, "20261121-120045"),
            (4_107_542_399, "21000228-235959"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(stamp(seconds), date);
        }
    }
}
