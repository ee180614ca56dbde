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
use vae_core::prior::{self, Fitting, Mixture, frequency_nats};
use vae_core::random::Purpose;
use vae_run::prior::{Meta, file_name, resume, save, save_fit};
use vae_run::{Folder, LoadedRun};

use super::load::{LoadOptions, prior_kind, warn_of_changes};
use crate::console::eprint_line;
use crate::say;

/// A test runs every line that starts with `  vae fit-prior`.
const EXAMPLES: &str = "\
Examples:
  vae fit-prior runs/quickstart                                a mixture of 10 Gaussians over the latents of a VAE
  vae fit-prior runs/quickstart --prior flow                   a flow from N(0, I) to the latents
  vae fit-prior runs/quickstart --prior maf                    a masked autoregressive flow, which has an exact density
  vae fit-prior runs/quickstart --prior vae                    the second-stage VAE of a two-stage VAE
  vae fit-prior runs/fsq --set prior.epochs=40 --again         a transformer over the codes of a vq or fsq model

vae config prior explains the keys. A fit by gradients that was interrupted continues with its next epoch, bit for bit; that is
every one but gmm.
vae sample RUN --prior gmm then draws from it, as draw, evaluate and report do; the prior of codes is used without being named.
Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Fits a prior to the latents of a trained run, so that samples are drawn from what the decoder has seen.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// The kind of prior: gmm, flow, maf or vae for a VAE, transformer for codes [default: gmm, for codes transformer]
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

/// Latents to fit to, and latents to judge the fit by.
struct Latents {
    train: Tensor,
    held_out: Tensor,
    /// What the latter are of.
    split: &'static str,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let mut run = args.load.load(&args.run)?;
    let config = run.predictor.config.clone();
    let default = if config.model.has_codes() { PriorKind::Transformer } else { PriorKind::Gmm };
    let kind = args.prior.unwrap_or(default);
    prior::check(kind, &config)?;
    if kind == PriorKind::Standard {
        bail!(Error::config(
            "--prior standard: it is the model's own prior, and there is nothing to fit; name another"
        ));
    }
    let settings = settings(&config, &args.set)?.of_kind(kind);
    settings.check_for(kind)?;
    Folder::open_unlocked(&run.path).check_writable(&file_name(kind))?;
    let latents = latents(&run)?;
    warn_of_changes(&run);
    let seed = args.seed.unwrap_or(config.seed);
    let meta = Meta::new(&run.path, kind, latents.train.shape()[0], seed, settings)?;
    match kind {
        PriorKind::Gmm => fit_mixture(&run, &latents, &meta)?,
        _ => fit_by_gradients(&run, &latents, &meta, args.again)?,
    }
    run.use_prior(kind)?;
    say!("{}", verdict(&mut run, &latents)?);
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
    Ok(settings.resolve()?.prior)
}

/// Returns the latents of all training images, and of all validation images if there are any.
fn latents(run: &LoadedRun) -> Result<Latents> {
    let dataset = run.dataset()?;
    let of = |split: &Split| -> Result<Option<Tensor>> {
        match split.count() {
            0 => Ok(None),
            _ => Ok(block_on(run.predictor.latents(split, &split.first(usize::MAX)))?),
        }
    };
    let Some(train) = of(&dataset.train)? else {
        bail!(Error::config("there are no training images, so there are no latents to fit a prior to"));
    };
    Ok(match of(&dataset.validation)? {
        Some(held_out) => Latents { train, held_out, split: "validation" },
        None => Latents { held_out: train.clone(), train, split: "training" },
    })
}

/// Fits a mixture of Gaussians by expectation maximisation.
fn fit_mixture(run: &LoadedRun, latents: &Latents, meta: &Meta) -> Result<()> {
    let config::Prior { components, iterations, .. } = meta.settings;
    let rng = &mut Purpose::Prior.stream(meta.seed, 0);
    let mixture = Mixture::fit(&latents.train, components, iterations, rng, &mut |iteration, nats| {
        eprint_line(&format!("iteration {iteration}: {nats:.4} nats per image"));
    })?;
    Ok(save(&mut Folder::open_unlocked(&run.path), meta, &mixture)?)
}

/// Fits a prior by gradients, and writes it after each epoch.
fn fit_by_gradients(run: &LoadedRun, latents: &Latents, meta: &Meta, again: bool) -> Result<()> {
    let settings = &meta.settings;
    let prior = prior::trainable(meta.kind, &run.predictor.config, settings, meta.seed)?;
    let device = run.predictor.device().clone();
    let mut fitting = Fitting::new(prior, settings.clone(), meta.seed, device, &latents.train);
    if !again {
        resume(run, meta, &mut fitting)?;
    }
    say!("{}: {} weights, {} images", fitting.prior.words(), nn::count(&*fitting.prior), meta.images);
    let mut folder = Folder::open_unlocked(&run.path);
    while fitting.epoch < settings.epochs() {
        let start = Instant::now();
        let train = block_on(fitting.epoch(&latents.train))?;
        let held_out = block_on(fitting.validate(&latents.held_out))?;
        save_fit(&mut folder, meta, &fitting)?;
        eprint_line(&format!(
            "epoch {}/{}: loss {train:.4}, {} {held_out:.4}, {:.1} s",
            fitting.epoch,
            settings.epochs(),
            latents.split,
            start.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

/// Says how probable the latents of images are, and compares with the model's own prior.
fn verdict(run: &mut LoadedRun, Latents { train, held_out, split }: &Latents) -> Result<String> {
    let nats = block_on(run.predictor.latent_nats(held_out))?.expect("the fitted prior is in use");
    let words = run.predictor.prior_words();
    let at_most = if run.predictor.latent_nats_are_a_bound() { "at most " } else { "" };
    let config = run.predictor.config.clone();
    run.use_prior(PriorKind::Standard)?;
    let of = format!("latents of {} {split} images", held_out.shape()[0]);
    if let Some(standard) = block_on(run.predictor.latent_nats(held_out))? {
        return Ok(format!(
            "{words}: −ln p = {at_most}{nats:.3} nats per image, {of}; {} has {standard:.3}",
            run.predictor.prior_words()
        ));
    }
    let (count, bits) = (config.model.code_count(), nats / LN_2);
    let dimensions = config.channels() * config.image_size().pow(2);
    Ok(format!(
        "{words}: {:.4} nats per code, {bits:.1} bits per image, {:.4} bits per dimension (of {dimensions} pixel values, without \
         the decoder's error), {of}; codes drawn by their frequencies alone have {:.4} nats, uniform ones {:.4}",
        nats / held_out.shape()[1] as f64,
        bits / dimensions as f64,
        frequency_nats(train, held_out, count),
        (count as f64).ln(),
    ))
}
