//! The command line, and what is done about it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use pollster::block_on;
use vae::album::Album;
use vae::command::{self, Where};
use vae::config::Config;
use vae::data::files::npy::{self, Codes};
use vae::{Error, export, say};

/// Every line that starts with `  decode` is run by a test.
const EXAMPLES: &str = "\
Examples:
  decode runs/quickstart codes.npz --png decoded           a picture a row of z, or of mu if there is no z
  decode runs/quickstart codes.npz --out pixels.npy        float32, [images, channels, size, size], 0 black, 1 white

In Python: numpy.save(\"z.npy\", z.astype(\"float32\")), or numpy.savez(\"z.npz\", z=z); FILE is what encode wrote, or one of these.
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Bytes of pixels that are written as an array, at most.
const MOST: usize = 4 << 30;
/// Images that are decoded before their pictures are written.
const TOGETHER: usize = 1024;

/// Decodes latents.
#[derive(Debug, Parser)]
#[command(name = "decode", version, after_help = EXAMPLES, max_term_width = 110)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["png", "out"])))]
struct Cli {
    /// The folder of the run
    run: PathBuf,
    /// Latents, [images, z]: an .npy, or an .npz with z or mu
    file: PathBuf,
    /// A folder to make, of pictures 00000.png, 00001.png, …
    #[arg(long, value_name = "DIR")]
    png: Option<PathBuf>,
    /// A file of pixels to write, which must not be there yet
    #[arg(long, value_name = "FILE.npy")]
    out: Option<PathBuf>,
    /// What a conditional model is told to show: one label, or as many as images [default: the file's labels]
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    labels: Vec<i64>,
    #[command(flatten)]
    place: Where,
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    if let Some(out) = cli.out.as_ref().filter(|out| out.exists()) {
        bail!(Error::config(format!("{}: is there already; name another file", out.display())));
    }
    let (_, mut runs) = cli.place.open(&[&cli.run])?;
    let trainer = runs.remove(0).trainer;
    let (config, shape) = (&trainer.config, trainer.dataset.transform.shape());
    if !config.model.is_vae() {
        bail!(Error::config(format!("model.kind = \"{}\" decodes no latents", config.model.kind)));
    }
    let codes = npy::codes(&cli.file, config.model.z_dim)?;
    let count = codes.z.shape()[0];
    let labels = labels(config, &codes, &cli.labels)?;
    let len = shape.iter().product::<usize>();
    if cli.out.is_some() && count.saturating_mul(4 * len) > MOST {
        bail!(Error::config(format!("--out: the pixels of {count} images are more than 4 GB; decode a part of them")));
    }
    let mut album = cli.png.as_ref().map(|place| Album::new(place, shape)).transpose()?;
    let mut all = Vec::new();
    for first in (0..count).step_by(TOGETHER) {
        let some = TOGETHER.min(count - first);
        let pixels = block_on(trainer.decode(&codes.z.slice(0, first, some), &labels[first..first + some]))?;
        let pixels = pixels.expect("a VAE decodes latents");
        album.as_mut().map_or(Ok(()), |album| album.add(&pixels))?;
        if cli.out.is_some() {
            all.extend(pixels);
        }
    }
    if let Some(out) = cli.out {
        let [channels, height, width] = shape;
        export::write_new(&out, &npy::of_f32(&[count, channels, height, width], &all))?;
        say!("{count} images: {}", out.display());
    }
    if let (Some(album), Some(place)) = (album, cli.png) {
        say!("{} images: {}", album.finish()?, place.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What each image is to show: zeros to a model that is not told.
fn labels(config: &Config, codes: &Codes, asked: &[i64]) -> Result<Vec<usize>> {
    let (count, classes) = (codes.z.shape()[0], config.told_classes());
    if classes == 0 {
        if !asked.is_empty() {
            bail!(Error::config("--labels: this model is told none (model.conditional = false); leave them out"));
        }
        return Ok(vec![0; count]);
    }
    let labels = match (asked, &codes.labels) {
        ([], Some(labels)) => labels.clone(),
        ([], None) => {
            bail!(Error::config(format!(
                "--labels: this model is told what to show, and the file has no labels; give one of 0 to {}, or {count}",
                classes - 1
            )));
        }
        ([one], _) => vec![*one; count],
        (all, _) if all.len() == count => all.to_vec(),
        (some, _) => bail!(Error::config(format!("--labels: {} for {count} images", some.len()))),
    };
    let known = |&label: &i64| usize::try_from(label).ok().filter(|label| *label < classes).ok_or(label);
    let known = labels.iter().map(known).collect::<Result<_, i64>>();
    Ok(known.map_err(|bad| Error::config(format!("--labels: {bad} is no label: they are 0 to {}", classes - 1)))?)
}
