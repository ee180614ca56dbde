//! `vae encode`: images to a trained model's posterior mean and log-variance, or to the codes of a `vq` model, as NumPy
//! arrays.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use pollster::block_on;
use vae_core::Error;
use vae_core::predict::Predictor;
use vae_data::npy;
use vae_run::write_new;

use super::input::{self, Source};
use super::load::LoadOptions;
use super::output::images;
use crate::say;

/// A test runs every line that starts with `  vae encode`.
const EXAMPLES: &str = "\
Examples:
  vae encode runs/quickstart test --out codes.npz              the test images; train and validation likewise
  vae encode runs/quickstart photos --out photos.npz           the pictures of a folder, sub-folders their labels
  vae encode runs/quickstart test train a.png --out all.npz    several of these together

In Python: codes = numpy.load(\"codes.npz\"); codes[\"mu\"], codes[\"logvar\"] (float32, [images, z]), codes[\"labels\"] (int64, -1: none),
codes[\"names\"] (text: the path of each picture, or test/00007). A vq model has codes[\"codes\"] (int64, [images, rows, columns])
in place of mu and logvar.
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Encodes images into a file of posterior means, log-variances, labels and names.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// train, validation, test (./test is a folder), pictures, or folders of pictures
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    /// Leave out damaged pictures and count them
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    if args.out.exists() {
        return Err(Error::config(format!("{}: exists already; choose another file", args.out.display())).into());
    }
    let run = args.load.load(&args.run)?;
    let given = input::read(&run, &args.data, "encode", args.skip_damaged)?;
    let sources = &given.sources;
    let (mut arrays, what) = match run.predictor.config.model.has_codes() {
        true => codes(&run.predictor, sources)?,
        false => posteriors(&run.predictor, sources)?,
    };
    let labels: Vec<i64> = sources.iter().flat_map(|source| source.labels.iter().copied()).collect();
    let names: Vec<String> = sources.iter().flat_map(|source| source.names.iter().cloned()).collect();
    arrays.push(("labels", npy::encode_i64(&[labels.len()], &labels)));
    arrays.push(("names", npy::encode_texts(&names)));
    write_new(&args.out, &npy::encode_npz(&arrays))?;
    given.print_notes();
    say!("{}, {what}: {}", images(labels.len()), args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Arrays with their names, and a few words about them.
type Arrays = (Vec<(&'static str, Vec<u8>)>, String);

/// The means and log-variances of the posteriors of all images.
fn posteriors(predictor: &Predictor, sources: &[Source]) -> Result<Arrays> {
    let (z_dim, mut both) = (predictor.config.model.z_dim, [Vec::new(), Vec::new()]);
    for Source { split, .. } in sources {
        let Some(found) = block_on(predictor.encode(split, &split.first(usize::MAX)))? else {
            let kind = predictor.config.model.kind;
            return Err(Error::config(format!(
                "model.kind = \"{kind}\" has no posterior, so there is nothing to encode"
            ))
            .into());
        };
        both.iter_mut().zip(&found).for_each(|(all, part)| all.extend_from_slice(part.data()));
    }
    let [mu, logvar] = both.map(|numbers| npy::encode_f32(&[numbers.len() / z_dim, z_dim], &numbers));
    Ok((vec![("mu", mu), ("logvar", logvar)], format!("z = {z_dim}")))
}

/// The indices of the codes of all images.
fn codes(predictor: &Predictor, sources: &[Source]) -> Result<Arrays> {
    let (side, mut all) = (predictor.config.code_side(), Vec::new());
    for Source { split, .. } in sources {
        let found = block_on(predictor.encode_codes(split, &split.first(usize::MAX)))?;
        all.extend(found.expect("the latents are codes").data().iter().map(|&code| code as i64));
    }
    let codes = npy::encode_i64(&[all.len() / (side * side), side, side], &all);
    Ok((vec![("codes", codes)], format!("{side}×{side} codes of {}", predictor.config.model.code_count())))
}
