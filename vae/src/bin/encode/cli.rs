//! The command line, and what is done about it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use pollster::block_on;
use vae::command::{self, Where};
use vae::config::Crop;
use vae::data::Split;
use vae::data::files::picture::{self, Picture, Region};
use vae::data::files::{folder, npy};
use vae::trained::Trained;
use vae::{Error, export, say};

/// Every line that starts with `  encode` is run by a test.
const EXAMPLES: &str = "\
Examples:
  encode runs/quickstart test --out codes.npz              the test images; train and validation likewise
  encode runs/quickstart photos --out photos.npz           the pictures of a folder, sub-folders their labels
  encode runs/quickstart a.png b.png --out two.npz         pictures from anywhere

In Python: codes = numpy.load(\"codes.npz\"); codes[\"mu\"], codes[\"logvar\"] (float32, [images, z]), codes[\"labels\"] (int64, -1: none)
Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Writes the Gaussians of images: mu, logvar and labels.
#[derive(Debug, Parser)]
#[command(name = "encode", version, after_help = EXAMPLES, max_term_width = 110)]
struct Cli {
    /// The folder of the run
    run: PathBuf,
    /// train, validation or test; or a folder of pictures, or pictures
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Does what the command line asks.
pub(crate) fn main() -> Result<ExitCode> {
    let Some(cli) = command::parse::<Cli>(std::env::args_os())? else { return Ok(ExitCode::SUCCESS) };
    if cli.out.exists() {
        return Err(Error::config(format!("{}: is there already; name another file", cli.out.display())).into());
    }
    let (_, mut runs) = cli.place.open(&[cli.run])?;
    let run = runs.remove(0);
    let (split, is_labelled) = images(&run, &cli.data)?;
    let places: Vec<usize> = (0..split.count()).collect();
    if places.is_empty() {
        return Err(Error::config("this split of the run's images is empty").into());
    }
    let Some([mu, logvar]) = block_on(run.trainer.encode(&split, &places))? else {
        let kind = run.trainer.config.model.kind;
        return Err(Error::config(format!("model.kind = \"{kind}\" makes no Gaussians of images")).into());
    };
    let labels: Vec<i64> =
        places.iter().map(|&place| if is_labelled { split.label(place) as i64 } else { -1 }).collect();
    let [count, z_dim] = [mu.shape()[0], mu.shape()[1]];
    let bytes = npy::zipped(&[
        ("mu", npy::of_f32(&[count, z_dim], mu.data())),
        ("logvar", npy::of_f32(&[count, z_dim], logvar.data())),
        ("labels", npy::of_i64(&[count], &labels)),
    ]);
    export::write_new(&cli.out, &bytes)?;
    say!("{count} images, z = {z_dim}: {}", cli.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The images that are meant, and whether they have labels.
fn images(run: &Trained, data: &[PathBuf]) -> Result<(Split, bool)> {
    let dataset = &run.trainer.dataset;
    if let [one] = data {
        let known = [("train", &dataset.train), ("validation", &dataset.validation), ("test", &dataset.test)];
        if let Some((_, split)) = known.into_iter().find(|(name, _)| one == Path::new(name)) {
            return Ok((split.clone(), true));
        }
    }
    let config = &run.trainer.config;
    if config.told_classes() > 0 {
        let what = "the model is told labels (model.conditional), and those of other pictures are not its own; encode train, \
                    validation or test";
        return Err(Error::config(what).into());
    }
    if let [folder] = data
        && folder.is_dir()
    {
        let (images, is_labelled) = folder::all(folder, config)?;
        return Ok((Split::all(images), is_labelled));
    }
    let region = Region::Crop(config.data.crop.unwrap_or(Crop::Centre));
    let pictures: Vec<Picture> = data.iter().map(|path| Picture { path: path.clone(), region }).collect();
    Ok((Split::all(picture::images(&pictures, vec![0; pictures.len()], config)?), false))
}
