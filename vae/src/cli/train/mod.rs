//! `vae train`: from a recipe to a trained model and its pictures.
//!
//! `args` are the options; `download` fetches data, `resume` continues a run, `sweep` trains a grid of runs, `tune` times ways to
//! use the GPU; `folder` names
//! the folder of a new run. `crate::session` trains one run; `vae paper` uses it too.

mod args;
mod download;
mod folder;
mod resume;
mod sweep;
mod tune;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use resume::Resumed;
use vae_core::Error;
use vae_core::config::Config;
use vae_core::learn;
use vae_core::learn::Summary;
use vae_core::recipe::RECIPES;
use vae_data::memory;
use vae_run::transfer::Frozen;
use vae_run::{Folder, LAST, Outcome, ResumedRun};

use crate::console::{self, eprint_line};
use crate::device::{self, Chosen};
use crate::say;
use crate::serve::Place;
use crate::session::plan::Plan;
use crate::session::{Ranks, catch_signals, initial_model, train_run};

pub(super) use args::{Args, short_name};

/// Runs the command in one of the processes that train together.
pub(super) fn run(args: Args, ranks: &Ranks) -> Result<ExitCode> {
    if args.quiet {
        console::set_quiet();
    }
    if args.list_recipes {
        let width = RECIPES.iter().map(|recipe| recipe.name.len()).max().unwrap_or(0);
        RECIPES.iter().for_each(|recipe| say!("{:width$}  {}", recipe.name, recipe.description()));
        return Ok(ExitCode::SUCCESS);
    }
    if !args.live && args.page != Place::default() {
        return Err(Error::config(
            "--port and --host set the address of the page of --live; add --live or leave them out",
        )
        .into());
    }
    let resumed = args.resume.as_ref().map(|run| Resumed::read(&args, run)).transpose()?;
    if !args.sweep.is_empty() {
        if ranks.are_several() {
            return Err(Error::config("--sweep trains one run after the other in one process; start it with vae train, or train each run by itself").into());
        }
        return sweep::run(&args);
    }
    let config = resumed.as_ref().map_or_else(|| args.config(), |resumed| Ok(resumed.config.clone()))?;
    config.check()?;
    let threads = device::start_threads(args.threads.or(ranks.threads))?;
    if args.tune && !args.dry_run {
        tune::run(config.device, ranks.place)?;
    }
    let chosen = device::choose_at(config.device, threads, ranks.place)?;
    resumed.iter().for_each(|resumed| resumed.compare(&chosen));
    if chosen.computes_in_memory() {
        config.check_memory(memory::available() / ranks.on_machine as u64, ranks.communicator.size())?;
    }
    if args.download {
        if ranks.is_first() {
            ranks.downloads_images();
            download::fetch(&config)?;
        }
        ranks.communicator.barrier()?;
    }
    match args.dry_run {
        true if !ranks.is_first() => Ok(ExitCode::SUCCESS),
        true => dry_run(&args, &config, &chosen),
        false => train(&args, config, &chosen, resumed.map(|resumed| resumed.past), ranks),
    }
}

fn dry_run(args: &Args, config: &Config, chosen: &Chosen) -> Result<ExitCode> {
    let start = Instant::now();
    let dataset = match vae_data::load(config) {
        Err(error) if !vae_data::files_exist(config) => Err(error.to_string()),
        dataset => Ok(dataset?),
    };
    let seconds = start.elapsed().as_secs_f64();
    if let Some(out) = &args.out {
        folder::prepare(Some(out), &config.name)?; // and gone again
    }
    // An encoder that is not there yet is told as missing data are: a dry run counts without either.
    let file = Path::new(&config.model.init_encoder);
    let absent = !config.model.init_encoder.is_empty() && !file.exists();
    let (model, encoder) = match absent {
        true => (learn::build(config), Some(Err(format!("{}: not found", file.display())))),
        false => initial_model(config).map(|(model, encoder)| (model, encoder.map(Ok)))?,
    };
    let summary = Summary::new(config, &*model);
    let frozen = if absent { None } else { Frozen::of(&*model)? };
    let (encoder, frozen) = (encoder.as_ref().map(Result::as_ref), frozen.as_ref());
    let data = dataset.as_ref().map_err(Clone::clone);
    let plan = Plan { config, summary: &summary, encoder, frozen, chosen, data: data.clone(), seconds };
    if args.json {
        say!("{}", plan.json());
    } else {
        plan.print();
        plan.print_layers();
        say!("\nNothing was trained, because of --dry-run.");
    }
    if let Some(missing) = data.err().or_else(|| encoder.and_then(|encoder| encoder.err().cloned())) {
        bail!("this run cannot start: {missing}");
    }
    Ok(ExitCode::SUCCESS)
}

fn train(args: &Args, config: Config, chosen: &Chosen, past: Option<ResumedRun>, ranks: &Ranks) -> Result<ExitCode> {
    catch_signals()?;
    let mut own = None;
    let path = ranks.from_first(|| {
        let folder = match &past {
            Some(past) => past.open_folder()?,
            None => folder::prepare(args.out.as_deref(), &config.name)?,
        };
        Ok(own.insert(folder).path().display().to_string())
    })?;
    let folder = own.unwrap_or_else(|| Folder::follow(Path::new(&path)));
    let path = folder.path().to_owned();
    if past.as_ref().is_some_and(|past| past.is_finished(&config)) {
        say!("{}: this run is finished; there is nothing left to train", path.display());
    }
    let outcome = train_run(config, chosen, folder, past, args.run_options(), ranks)?;
    if args.quiet {
        console::print_line(&path.display().to_string());
    }
    if outcome != Outcome::Interrupted {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_line(&match path.join(LAST).exists() {
        true => format!("interrupted; the run is saved. To continue: {}", resume::command(&path)),
        false => "interrupted before the first step; nothing was saved".to_owned(),
    });
    Ok(ExitCode::from(130))
}
