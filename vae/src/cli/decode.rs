//! `vae decode`: latents or codes, as NumPy arrays, to the images that a trained model decodes from them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use pollster::block_on;
use vae_core::Error;
use vae_core::config::Config;
use vae_data::latents::{Latents, read_codes, read_latents};
use vae_data::npy;
use vae_figures::image_folder::ImageFolder;
use vae_run::write_new;

use super::load::LoadOptions;
use super::output::images;
use super::png_names::png_names;
use crate::say;

/// A test runs every line that starts with `  vae decode`.
const EXAMPLES: &str = "\
Examples:
  vae decode runs/quickstart codes.npz --png decoded           a picture a row of z, or of mu if there is no z
  vae decode runs/quickstart codes.npz --out pixels.npy        float32, [images, channels, size, size], 0 black, 1 white

In Python: numpy.save(\"z.npy\", z.astype(\"float32\")), or numpy.savez(\"z.npz\", z=z); FILE is what vae encode wrote, or one of these.
Pictures have the names of the array names of an .npz (text), if there is one. A vq model decodes integers [images, rows, columns].
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// The largest array of pixels that is written, in bytes.
const MAX_ARRAY_BYTES: usize = 4 << 30;
/// Images that are decoded at once, before their pictures are written.
const CHUNK: usize = 1024;

/// Decodes latents from a file into pictures or an array of pixels.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["png", "out"])))]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// Latents, [images, z]: an .npy, or an .npz with z or mu. For a vq model, codes: an .npy, or an .npz with codes
    file: PathBuf,
    /// A folder to make, of a PNG for each image: with the file's names, or 00000.png, 00001.png, …
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
    /// A file of pixels to write, which must not be there yet
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// Labels for a conditional model: one, or one for each image [default: the file's labels]
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    labels: Vec<i64>,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    if let Some(out) = args.out.as_ref().filter(|out| out.exists()) {
        bail!(Error::config(format!("{}: exists already; choose another file", out.display())));
    }
    let predictor = args.load.load(&args.run)?.predictor;
    let (config, shape) = (&predictor.config, predictor.transform.shape());
    let has_codes = config.model.has_codes();
    if !config.model.is_vae() && !has_codes {
        bail!(Error::config(format!("model.kind = \"{}\" cannot decode latents", config.model.kind)));
    }
    let codes = match has_codes {
        true => read_codes(&args.file, config.model.code_count(), config.code_side())?,
        false => read_latents(&args.file, config.model.z_dim)?,
    };
    let count = codes.z.shape()[0];
    let labels = labels(config, &codes, &args.labels)?;
    let numbers = shape.iter().product::<usize>();
    if args.out.is_some() && count.saturating_mul(4 * numbers) > MAX_ARRAY_BYTES {
        bail!(Error::config(format!("--out: the pixels of {count} images are more than 4 GB; decode fewer")));
    }
    let mut image_folder = args.png.as_ref().map(|place| ImageFolder::new(place, shape)).transpose()?;
    let names = codes.names.clone().unwrap_or_else(|| (0..count).map(|i| format!("{i:05}")).collect());
    let mut names = png_names(&names).into_iter();
    let mut all = Vec::new();
    for first in (0..count).step_by(CHUNK) {
        let len = CHUNK.min(count - first);
        let z = codes.z.slice(0, first, len);
        let pixels = match has_codes {
            true => block_on(predictor.decode_codes(&z))?,
            false => block_on(predictor.decode(&z, &labels[first..first + len]))?,
        };
        let pixels = pixels.expect("this kind of model decodes");
        if let Some(image_folder) = &mut image_folder {
            for image in pixels.chunks_exact(numbers) {
                image_folder.add_named(&names.next().expect("a name for each image"), image)?;
            }
        }
        if args.out.is_some() {
            all.extend(pixels);
        }
    }
    if let Some(out) = args.out {
        let [channels, height, width] = shape;
        write_new(&out, &npy::encode_f32(&[count, channels, height, width], &all))?;
        say!("{}: {}", images(count), out.display());
    }
    if let (Some(image_folder), Some(place)) = (image_folder, args.png) {
        say!("{}: {}", images(image_folder.finish()?), place.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The label of each image; zeros for a model that is not conditional.
fn labels(config: &Config, codes: &Latents, given: &[i64]) -> Result<Vec<usize>> {
    let (count, classes) = (codes.z.shape()[0], config.condition_classes());
    if classes == 0 {
        if !given.is_empty() {
            bail!(Error::config(
                "--labels: this model does not use labels (model.conditional = false); leave them out"
            ));
        }
        return Ok(vec![0; count]);
    }
    let labels = match (given, &codes.labels) {
        ([], Some(labels)) => labels.clone(),
        ([], None) => {
            bail!(Error::config(format!(
                "--labels: this model needs labels, and the file has none; give one label from 0 to {}, or {count} labels",
                classes - 1
            )));
        }
        ([one], _) => vec![*one; count],
        (all, _) if all.len() == count => all.to_vec(),
        (some, _) => bail!(Error::config(format!(
            "--labels: there are {} labels for {count} images; give one label, or one for each image",
            some.len()
        ))),
    };
    let known = |&label: &i64| usize::try_from(label).ok().filter(|label| *label < classes).ok_or(label);
    let known = labels.iter().map(known).collect::<Result<_, i64>>();
    Ok(known
        .map_err(|bad| Error::config(format!("--labels: {bad} is not a label; labels are 0 to {}", classes - 1)))?)
}
