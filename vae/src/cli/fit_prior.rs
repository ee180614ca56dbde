//! `vae fit-prior`: the second stage, a distribution of the latents of a trained run.

use std::f64::consts::LN_2;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use pollster::block_on;
use tensor::Tensor;
use vae_core::Error;
use vae_core::config::{self, Config, PriorKind, Settings};
use vae_core::data::Split;
use vae_core::prior::{self, Fitting, frequency_nats};
use vae_run::prior::{Meta, file_name, resume, save};
use vae_run::{Folder, LoadedRun};

use super::load::{LoadOptions, prior_kind, warn_of_changes};
use crate::console::eprint_line;
use crate::say;

/// A test runs every line that starts with `  vae fit-prior`.
const EXAMPLES: &str = "\
Examples:
  vae fit-prior runs/fsq                                       a transformer over the codes of a vq or fsq model
  vae fit-prior runs/fsq --set prior.epochs=40 --again         other keys of [prior]; vae config prior explains them

A fit that was interrupted continues with its next epoch, bit for bit. vae sample, draw, evaluate and report then draw from it.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Fits a prior to the latents of a trained run, so that samples are drawn from what the decoder has seen.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// The kind of prior [default: transformer]
    #[arg(long, value_name = "PRIOR", value_parser = prior_kind)]
    prior: Option<PriorKind>,
    /// Set a key of [prior], for example prior.epochs=40; may be given many times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seed of the fit [default: the run's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Fit again from the start, even if there is such a prior
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = args.load.load(&args.run)?;
    let config = &run.predictor.config;
    let kind = args.prior.unwrap_or(PriorKind::Transformer);
    prior::check(kind, config)?;
    if kind == PriorKind::Standard {
        bail!(Error::config(
            "--prior standard: it is the model's own prior, and there is nothing to fit; name another"
        ));
    }
    let settings = settings(config, &args.set)?;
    let seed = args.seed.unwrap_or(config.seed);
    let dataset = run.dataset()?;
    warn_of_changes(&run);
    let [train, validation] = [&dataset.train, &dataset.validation].map(|split| latents(&run, split));
    let (train, validation) = (train?, validation?);
    let Some(train) = train else { bail!(Error::config("there are no training images to fit a prior to")) };
    let meta = Meta::new(&run.path, kind, train.shape()[0], seed, settings.clone())?;
    let mut folder = Folder::open_unlocked(&run.path);
    let found = if args.again { None } else { resume(&run, &meta)? };
    let mut fitting = match found {
        Some(fitting) => fitting,
        None => Fitting::new(
            prior::build(kind, config, &settings, seed)?,
            settings.clone(),
            seed,
            run.predictor.device().clone(),
        ),
    };
    say!("{}, {} weights, {} images", fitting.prior.words(), nn::count(&*fitting.prior), train.shape()[0]);
    while fitting.epoch < settings.epochs {
        let start = Instant::now();
        let mut line = format!("training {:.4}", block_on(fitting.epoch(&train))?);
        if let Some(validation) = &validation {
            line += &format!(", validation {:.4}", block_on(fitting.validate(validation))?);
        }
        save(&mut folder, &meta, &fitting)?;
        eprint_line(&format!(
            "epoch {}/{}: {line} nats per code, {:.1} s",
            fitting.epoch,
            settings.epochs,
            start.elapsed().as_secs_f64()
        ));
    }
    say!("{}", verdict(config, &fitting, &train, validation.as_ref())?);
    say!("{}", run.path.join(file_name(kind)).display());
    Ok(ExitCode::SUCCESS)
}

/// Returns the keys of `[prior]`: those of the run, changed by `--set`.
fn settings(config: &Config, assignments: &[String]) -> Result<config::Prior> {
    let mut settings = Settings::default();
    settings.file(&config.to_toml(), "config.toml")?;
    for assignment in assignments {
        if !assignment.starts_with("prior.") {
            bail!(Error::config(format!(
                "--set {assignment}: only keys of [prior] can be set here; vae config prior lists them"
            )));
        }
        settings.assignment(assignment)?;
    }
    let changed = settings.resolve()?.prior;
    changed.check()?;
    Ok(changed)
}

/// Returns the latents of all images of a split, or `None` if it has no images.
fn latents(run: &LoadedRun, split: &Split) -> Result<Option<Tensor>> {
    if split.count() == 0 {
        return Ok(None);
    }
    Ok(block_on(run.predictor.latents(split, &split.first(usize::MAX)))?)
}

/// Says how many nats a code has, and what that is in bits.
fn verdict(config: &Config, fitting: &Fitting, train: &Tensor, validation: Option<&Tensor>) -> Result<String> {
    let (codes, split) = validation.map_or((train, "training"), |codes| (codes, "validation"));
    let (nats, count) = (block_on(fitting.validate(codes))?, config.model.code_count());
    let bits = nats * codes.shape()[1] as f64 / LN_2;
    let dimensions = config.channels() * config.image_size().pow(2);
    Ok(format!(
        "{nats:.4} nats per code on {} {split} images, {bits:.1} bits per image, {:.4} bits per dimension (of {dimensions} pixel \
         values, without the decoder's error); codes drawn by their frequencies alone have {:.4} nats, uniform ones {:.4}",
        codes.shape()[0],
        bits / dimensions as f64,
        frequency_nats(train, codes, count),
        (count as f64).ln(),
    ))
}
