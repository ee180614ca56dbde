//! `vae encode`: images to a trained model's posterior mean and log-variance, as NumPy arrays.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pollster::block_on;
use vae_core::Error;
use vae_core::data::Split;
use vae_data::{folder, npy};
use vae_run::LoadedRun;
use vae_run::write_new;

use super::input;
use super::load::LoadOptions;
use crate::say;

/// A test runs every line that starts with `  vae encode`.
const EXAMPLES: &str = "\
Examples:
  vae encode runs/quickstart test --out codes.npz              the test images; train and validation likewise
  vae encode runs/quickstart photos --out photos.npz           the pictures of a folder, sub-folders their labels
  vae encode runs/quickstart a.png b.png --out two.npz         pictures from anywhere

In Python: codes = numpy.load(\"codes.npz\"); codes[\"mu\"], codes[\"logvar\"] (float32, [images, z]), codes[\"labels\"] (int64, -1: none)
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Encodes images into a file of posterior means, log-variances and labels.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// train, validation or test; or a folder of pictures, or pictures
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    if args.out.exists() {
        return Err(Error::config(format!("{}: exists already; choose another file", args.out.display())).into());
    }
    let run = args.load.load(&args.run)?;
    let (split, is_labelled) = images(&run, &args.data)?;
    let places: Vec<usize> = (0..split.count()).collect();
    if places.is_empty() {
        return Err(Error::config("this split of the images is empty; choose another one").into());
    }
    let Some([mu, logvar]) = block_on(run.predictor.encode(&split, &places))? else {
        let kind = run.predictor.config.model.kind;
        return Err(
            Error::config(format!("model.kind = \"{kind}\" has no posterior, so there is nothing to encode")).into()
        );
    };
    let labels: Vec<i64> =
        places.iter().map(|&place| if is_labelled { split.label(place) as i64 } else { -1 }).collect();
    let [count, z_dim] = [mu.shape()[0], mu.shape()[1]];
    let bytes = npy::encode_npz(&[
        ("mu", npy::encode_f32(&[count, z_dim], mu.data())),
        ("logvar", npy::encode_f32(&[count, z_dim], logvar.data())),
        ("labels", npy::encode_i64(&[count], &labels)),
    ]);
    write_new(&args.out, &bytes)?;
    say!("{count} images, z = {z_dim}: {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The images that the words name, and whether they have labels.
fn images(run: &LoadedRun, data: &[PathBuf]) -> Result<(Split, bool)> {
    if let Some(split) = input::split_named(run, data)? {
        return Ok((split.clone(), true));
    }
    let config = &run.predictor.config;
    input::refuse_conditional(config, "encode")?;
    if let [folder] = data
        && folder.is_dir()
    {
        let (images, is_labelled) = folder::all(folder, config)?;
        return Ok((Split::all(images), is_labelled));
    }
    Ok((input::read(data, config)?, false))
}
