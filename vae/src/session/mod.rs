//! Trains runs for the command line: prints what happens, stops after Ctrl-C, and writes the files of each run.
//!
//! [`train_run`] trains one run. `points` are the runs of a grid, `grid` is the folder that holds them, `jobs` are those that are trained at
//! the same time, `sweep_table` compares them. `plan` describes a run
//! before it starts, `ranks` are the processes that train it, `kernels` compiles the kernels of a GPU, `run_reporter` reports its events, `progress` shows a bar, `profile` a table of times; `memory` asks the
//! system how much memory is free.

pub mod duration;
pub mod grid;
pub mod jobs;
mod kernels;
pub mod plan;
pub mod points;
mod profile;
mod progress;
mod ranks;
mod run_reporter;
pub mod sweep_table;
pub mod table;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use plan::{Plan, with_thousands};
use progress::Progress;
pub use ranks::Ranks;
use run_reporter::{RunReporter, tensorboard_log};
use vae_core::config::{Config, Precision};
use vae_core::learn::Summary;
use vae_core::learn::{self, Learner};
use vae_core::train::{Fault, Trainer};
use vae_core::{Error, Result};
use vae_figures::gallery::TRAINING_FIGURES;
use vae_run::transfer::{self, Frozen, LoadedEncoder};
use vae_run::{Event, Folder, LAST, LoadedRun, Outcome, ResumedRun, checkpoint};
use vae_scores::Options;

use crate::console::{eprint_line, is_quiet, warn};
use crate::device::Chosen;
use crate::live::{self, Live};
use crate::report;
use crate::say;
use crate::serve::Place;
use crate::tensorboard;

/// Samples and test images that a run is scored on when it ends. `vae evaluate` takes more.
const REPORT_IMAGES: usize = 256;

/// Set by the first Ctrl-C or SIGTERM.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What a run does besides training and writing its files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Write `report.html` at the end.
    pub report: bool,
    /// Print a table of times at the end.
    pub profile: bool,
    /// Write TensorBoard's event files.
    pub tensorboard: bool,
    /// Continue an interrupted run even if its images have changed.
    pub allow_changed_data: bool,
    /// Serve a page that shows the run while it trains, at this address.
    pub live: Option<Place>,
}

/// Installs a handler for Ctrl-C and SIGTERM. The first signal asks the run to stop, and the second ends the process.
///
/// # Errors
/// If the system refuses to install the handler.
pub fn catch_signals() -> Result<()> {
    let set = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprint_line("\nstopping after this step; press Ctrl-C again to stop at once");
    });
    set.map_err(|error| Error::Thread(format!("Ctrl-C cannot be caught: {error}")))
}

/// Asks all runs of this process to stop after their present step, as a signal does.
fn stop() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Returns whether a signal has asked the run to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Trains one run in this locked folder, from the start or from its last checkpoint, with these processes. Only the first of them
/// reports.
///
/// # Errors
/// If images, weights or the folder cannot be used, training diverges, or the device fails.
pub fn train_run(
    config: Config,
    chosen: &Chosen,
    folder: Folder,
    resumed: Option<ResumedRun>,
    options: RunOptions,
    ranks: &Ranks,
) -> Result<Outcome> {
    let options = if ranks.is_first() {
        options
    } else {
        RunOptions { allow_changed_data: options.allow_changed_data, ..RunOptions::default() }
    };
    let mut live = options.live.map(Live::start).transpose()?;
    let outcome = train_with_page(config, chosen, folder, resumed, options, ranks, &mut live);
    live.into_iter().for_each(|live| live.end(&live::ended(&outcome)));
    outcome
}

fn train_with_page(
    mut config: Config,
    chosen: &Chosen,
    mut folder: Folder,
    mut resumed: Option<ResumedRun>,
    options: RunOptions,
    ranks: &Ranks,
    live: &mut Option<Live>,
) -> Result<Outcome> {
    let start = Instant::now();
    ranks.reads_images();
    let mut dataset = vae_data::load(&config)?;
    if let Some(resumed) = &mut resumed {
        let warning = resumed.check_images(&mut dataset, options.allow_changed_data)?;
        warning.iter().for_each(|words| warn(words));
    }
    let seconds = start.elapsed().as_secs_f64();
    let (model, encoder) = match &resumed {
        None => initial_model(&config)?,
        Some(_) => {
            let model = learn::build(&config);
            checkpoint::load(&*model, &folder.path().join(LAST))?; // the hash of frozen weights is printed before the first step
            (model, None)
        }
    };
    let summary = Summary::new(&config, &*model);
    let frozen = Frozen::of(&*model)?;
    let (told, held) = (encoder.as_ref().map(Ok), frozen.as_ref());
    Plan { config: &config, summary: &summary, encoder: told, frozen: held, chosen, data: Ok(&dataset), seconds }
        .print();
    ranks.words(config.train.shards).iter().for_each(|words| say!("  processes  {words}"));
    say!("  folder     {}", folder.path().display());
    resumed
        .iter()
        .for_each(|resumed| say!("  resumed    after step {}", with_thousands(resumed.steps_done() as usize)));
    if let Some(live) = &mut *live {
        match is_quiet() {
            true => eprint_line(&format!("live: {}", live.url())), // the address may be new in each run, and stdout is for the folder
            false => say!("  live       {}", live.url()),
        }
        live.begin(
            &config,
            dataset.train.count(),
            resumed.as_ref().map_or_else(Vec::new, |resumed| resumed.history().to_vec()),
        );
    }
    say!("");
    if ranks.communicator.any(interrupted())? {
        return Ok(Outcome::Interrupted); // nothing has been trained, so there is nothing to save
    }
    if let Some(encoder) = &encoder {
        folder.write("encoder.txt", encoder.list().as_bytes())?;
    }
    config.device = chosen.choice(); // the run's configuration contains the device that `auto` resolved to
    if config.train.precision == Precision::F16 && !chosen.stores_f16() {
        warn(&format!("train.precision = \"f16\": {} has only f32, so the run computes in f32", chosen.device));
    }
    if let Some(gpu) = &chosen.gpu {
        kernels::compile(&config, &dataset, gpu);
    }
    let epochs = config.train.epochs;
    let done = resumed.as_ref().map_or(0, ResumedRun::steps_done);
    let tensorboard = options.tensorboard.then(|| tensorboard_log(folder.path(), done)).transpose()?;
    let progress = Progress::new(dataset.train.count(), epochs);
    let mut reporter = RunReporter { progress, epochs, live, tensorboard };
    let mut trainer = Trainer::from_learner(config, dataset, model, chosen.device.clone());
    trainer.join(ranks.communicator.clone())?;
    injected_fault()?.into_iter().for_each(|fault| trainer.inject(fault));
    let outcome = vae_run::run(&mut trainer, &mut folder, resumed, TRAINING_FIGURES, &mut |event| {
        let has_other_shapes = matches!(event, Event::Validating | Event::Epoch(..));
        if ranks.is_first() {
            reporter.report(event);
        }
        if has_other_shapes {
            // Frees the buffers of what has ended, training or validation. They would otherwise stay allocated during the other, whose
            // tensors have other sizes.
            chosen.gpu.iter().for_each(|gpu| gpu.trim());
        }
        !interrupted()
    });
    reporter.progress.finish();
    let outcome = outcome?;
    match outcome {
        Outcome::Finished | Outcome::Interrupted => {}
        Outcome::Stopped { after, best } => {
            say!(
                "stopped after epoch {after}: the validation loss has not improved since epoch {best}, whose weights are kept"
            );
        }
    }
    if let Some(before) = &frozen {
        let after = Frozen::of(trainer.model())?;
        let sha256 = after.as_ref().map_or("of nothing", |after| &after.sha256);
        if after.as_ref() != Some(before) {
            let what = format!("sha256 {} before, {sha256} after; this is a bug in the program", before.sha256);
            return Err(Error::file(folder.path(), format!("frozen weights have changed: {what}")));
        }
        say!("frozen: {before}, unchanged since before the first step");
    }
    if let Some(counters) = chosen.gpu.as_ref().map(|gpu| gpu.counters()) {
        say!(
            "gpu: {} launches in {} submissions, {} kernels compiled, at most {:.0} MB of tensors",
            with_thousands(counters.launches as usize),
            with_thousands(counters.submits as usize),
            counters.pipelines,
            counters.peak_bytes as f64 / 1e6
        );
    }
    if options.profile {
        profile::print(folder.path())?;
    }
    if options.report && outcome != Outcome::Interrupted {
        // The run is saved. If this fails, `vae report` can write the report later.
        match write_report(trainer, &mut folder) {
            Ok(sentence) => {
                say!("\n{sentence}");
                live.iter().for_each(|live| live.line(&sentence));
            }
            Err(error) => eprint_line(&format!("warning: no report: {error}")),
        }
    }
    say!("\n{}", folder.path().join("").display()); // ends with one slash
    let files = folder.files();
    let width = files.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    files.iter().for_each(|(name, size)| say!("  {name:width$}  {:>8.1} kB", *size as f64 / 1e3));
    if options.tensorboard {
        say!("  {}/  for tensorboard --logdir {}", tensorboard::FOLDER, folder.path().display());
    }
    Ok(outcome)
}

/// Scores the run on a few images and writes its report. Returns the verdict.
fn write_report(trainer: Trainer, folder: &mut Folder) -> Result<String> {
    let options = Options { images: REPORT_IMAGES, extractor: None, inception: None, ..Options::default() };
    let run = LoadedRun::from_trainer(folder.path(), trainer)?;
    let told = report::collect(&run, Some(&options), true)?;
    folder.write(report::FILE, report::page(std::slice::from_ref(&told), &[]).as_bytes())?;
    Ok(told.verdict.sentence)
}

/// The fault that tests inject with the variable `VAE_FAULT`: `loss@STEP` or `gradient@STEP`.
fn injected_fault() -> Result<Option<Fault>> {
    let Ok(text) = std::env::var("VAE_FAULT") else { return Ok(None) };
    let fault = Fault::parse(&text);
    fault.map(Some).ok_or_else(|| Error::config(format!("VAE_FAULT={text}: it must be loss@STEP or gradient@STEP")))
}

/// Returns a model with new weights, with those of `model.init`, or with the encoder of `model.init_encoder`.
///
/// # Errors
/// If a weight file cannot be used.
pub fn initial_model(config: &Config) -> Result<(Box<dyn Learner>, Option<LoadedEncoder>)> {
    let (model, keys) = (learn::build(config), &config.model);
    if !keys.init.is_empty() {
        checkpoint::load(&*model, Path::new(&keys.init))?;
    }
    if keys.init_encoder.is_empty() {
        return Ok((model, None));
    }
    let loaded = transfer::load_encoder(&*model, Path::new(&keys.init_encoder), keys.freeze_encoder)?;
    Ok((model, Some(loaded)))
}
