//! The command from start to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use vae::command;
use vae::config::Config;
use vae::data::Dataset;
use vae::device::{self, Chosen};
use vae::learn::{self, Learner};
use vae::model::Summary;
use vae::recipe::RECIPES;
use vae::run::{self, Event, Folder, LAST, Outcome, Past};
use vae::score::Options;
use vae::train::{Epoch, Fault, Trainer};
use vae::trained;
use vae::transfer::{self, Frozen, Loaded};
use vae::{Error, report, say};

use crate::cli::Cli;
use crate::download;
use crate::memory;
use crate::plan::{Plan, grouped};
use crate::progress::Progress;
use crate::resume::{self, Resumed};
use crate::sweep;

/// Samples and test images that a run is scored on when it ends: `evaluate` takes as long as it is given.
const REPORTED: usize = 256;

/// Set by the first Ctrl-C or SIGTERM.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Does what the command line asks, and says how it ended.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    if cli.list_recipes {
        let width = RECIPES.iter().map(|recipe| recipe.name.len()).max().unwrap_or(0);
        RECIPES.iter().for_each(|recipe| say!("{:width$}  {}", recipe.name, recipe.description()));
        return Ok(ExitCode::SUCCESS);
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
    if run_in(config, chosen, &path, past, !cli.no_report)? != Outcome::Interrupted {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_line(&match path.join(LAST).exists() {
        true => format!("interrupted: it is saved; to go on: {}", resume::command(&path)),
        false => "interrupted before the first step: nothing was kept".to_owned(),
    });
    Ok(ExitCode::from(130))
}

/// From now on the first Ctrl-C or SIGTERM asks a run to stop, and the second ends the process.
pub(crate) fn catch_signals() -> Result<()> {
    Ok(ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprint_line("\nstopping after this step; once more to leave at once");
    })?)
}

/// Whether somebody asked to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// One run in a folder of its own, from its beginning or from where it stood, told as it goes, with or without a report when
/// it has ended.
pub(crate) fn run_in(
    mut config: Config,
    chosen: &Chosen,
    path: &Path,
    past: Option<Past>,
    report: bool,
) -> Result<Outcome> {
    let mut folder = if past.is_some() { Folder::open(path)? } else { Folder::prepare(path)? };
    let start = Instant::now();
    let dataset = Dataset::load(&config)?;
    let seconds = start.elapsed().as_secs_f64();
    let (model, encoder) = match &past {
        None => initialised(&config)?,
        Some(_) => {
            let model = learn::build(&config);
            run::load(&*model, &path.join(LAST))?; // what is frozen is told by its hash before the first step
            (model, None)
        }
    };
    let summary = Summary::new(&config, &*model);
    let frozen = Frozen::of(&*model)?;
    let (told, held) = (encoder.as_ref().map(Ok), frozen.as_ref());
    Plan { config: &config, summary: &summary, encoder: told, frozen: held, chosen, data: Ok(&dataset), seconds }
        .print();
    say!("  folder     {}", folder.path().display());
    past.iter().for_each(|past| say!("  resumed    after step {}", grouped(past.steps_done() as usize)));
    say!("");
    if interrupted() {
        return Ok(Outcome::Interrupted); // before there was anything to keep
    }
    if let Some(encoder) = &encoder {
        folder.write("encoder.txt", encoder.list().as_bytes())?;
    }
    config.device = chosen.choice(); // what `auto` came to: the run's own configuration says it
    let epochs = config.train.epochs;
    let mut progress = Progress::new(dataset.train.count(), epochs);
    let mut trainer = Trainer::of(config, dataset, model, chosen.device.clone());
    fault()?.into_iter().for_each(|fault| trainer.inject(fault));
    let outcome = run::run(&mut trainer, &mut folder, past, &mut |event| {
        match event {
            Event::Step(step) => progress.step(step),
            Event::Validating => progress.pause(),
            Event::Epoch(epoch) => {
                progress.aside(|| say_epoch(epoch, epochs));
                // What validation and a last, smaller batch left behind would be held beside the next epoch's.
                chosen.gpu.iter().for_each(|gpu| gpu.trim());
            }
            Event::Tested(words) => progress.aside(|| say!("\n{words}\n")),
            Event::Warning(words) => progress.aside(|| eprint_line(&format!("warning: {words}"))),
        }
        !interrupted()
    });
    progress.finish();
    let outcome = outcome?;
    match outcome {
        Outcome::Finished | Outcome::Interrupted => {}
        Outcome::Stopped { after, best } => {
            say!("stopped after epoch {after}: no better validation loss since epoch {best}, whose weights are kept");
        }
    }
    if let Some(before) = &frozen {
        let after = Frozen::of(&*trainer.model)?;
        let sha256 = after.as_ref().map_or("of nothing", |after| &after.sha256);
        ensure!(
            after.as_ref() == Some(before),
            "what is frozen has changed: sha256 {} before, {sha256} after; a mistake of the program's",
            before.sha256
        );
        say!("frozen: {before}, as before the first step");
    }
    if let Some(counters) = chosen.gpu.as_ref().map(|gpu| gpu.counters()) {
        say!(
            "gpu: {} launches in {} submissions, {} kernels compiled, at most {:.0} MB of tensors",
            grouped(counters.launches as usize),
            grouped(counters.submits as usize),
            counters.pipelines,
            counters.peak_bytes as f64 / 1e6
        );
    }
    if report && outcome != Outcome::Interrupted {
        // The run is saved: whatever goes wrong here is mended by asking for the report again.
        match write_report(trainer, &mut folder) {
            Ok(sentence) => say!("\n{sentence}"),
            Err(error) => eprint_line(&format!("warning: no report: {error}")),
        }
    }
    say!("\n{}/", folder.path().display());
    let files = folder.files();
    let width = files.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    files.iter().for_each(|(name, size)| say!("  {name:width$}  {:>8.1} kB", *size as f64 / 1e3));
    Ok(outcome)
}

/// Scores the run on a few images, writes its report, and gives its verdict.
fn write_report(trainer: Trainer, folder: &mut Folder) -> vae::Result<String> {
    let options = Options { images: REPORTED, extractor: None, inception: None };
    let run = trained::ended(folder.path(), trainer)?;
    let told = report::tell(&run, Some(&options))?;
    folder.write(report::FILE, report::page(std::slice::from_ref(&told)).as_bytes())?;
    Ok(told.verdict.sentence)
}

/// What the tests ask to be spoiled, by `VAE_FAULT`: `loss@STEP` or `gradient@STEP`.
fn fault() -> Result<Option<Fault>> {
    let Ok(text) = std::env::var("VAE_FAULT") else { return Ok(None) };
    let fault = Fault::parse(&text);
    fault.map(Some).ok_or_else(|| Error::config(format!("VAE_FAULT={text}: loss@STEP or gradient@STEP")).into())
}

/// The model, its weights fresh or those of `model.init`, its encoder perhaps that of `model.init_encoder`.
fn initialised(config: &Config) -> Result<(Box<dyn Learner>, Option<Loaded>)> {
    let (model, keys) = (learn::build(config), &config.model);
    if !keys.init.is_empty() {
        run::load(&*model, Path::new(&keys.init))?;
    }
    if keys.init_encoder.is_empty() {
        return Ok((model, None));
    }
    let loaded = transfer::load_encoder(&*model, Path::new(&keys.init_encoder), keys.freeze_encoder)?;
    Ok((model, Some(loaded)))
}

fn say_epoch(epoch: &Epoch, epochs: usize) {
    let width = epochs.to_string().len();
    say!(
        "epoch {:width$}/{epochs}  train {}  |  validation {}  |  lr {:.3e}  {:.1} s  {:.0} images/s",
        epoch.epoch,
        epoch.train,
        epoch.validation.losses,
        epoch.learning_rate,
        epoch.seconds,
        epoch.images_per_second
    );
}

pub(crate) fn eprint_line(words: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{words}");
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
