//! `vae reconstruct`: images to a trained model's latents and back, as pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use pollster::block_on;
use vae_core::Error;
use vae_figures::image_folder::ImageFolder;

use super::input;
use super::load::LoadOptions;
use super::output::images;
use super::png_names::png_names;
use crate::say;

/// A test runs every line that starts with `  vae reconstruct`.
const EXAMPLES: &str = "\
Examples:
  vae reconstruct runs/quickstart a.png b.png --png seen       seen/a.png and seen/b.png
  vae reconstruct runs/quickstart photos --png again           every picture of a folder and its sub-folders
  vae reconstruct runs/quickstart test --png test              the test images; train and validation likewise
  vae reconstruct runs/quickstart test a.png --png both        several of these together

Exit codes: 0 done, 1 failed, 2 bad usage.";

/// Images that are reconstructed at once, before their pictures are written.
const CHUNK: usize = 1024;

/// Encodes pictures and decodes the posterior means: what the model keeps of them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    #[arg(value_hint = clap::ValueHint::DirPath)]
    run: PathBuf,
    /// Pictures, folders of pictures, or train, validation or test (./test is a folder)
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// A folder to make, of a PNG for each picture, with the picture's name
    #[arg(long, value_name = "DIR")]
    png: PathBuf,
    /// Leave out damaged pictures and count them
    #[arg(long)]
    skip_damaged: bool,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = args.load.load(&args.run)?;
    let predictor = &run.predictor;
    let given = input::read(&run, &args.pictures, "reconstruct", args.skip_damaged)?;
    let shape = predictor.transform.shape();
    let mut folder = ImageFolder::new(&args.png, shape)?;
    let names: Vec<String> = given.sources.iter().flat_map(|source| source.names.iter().cloned()).collect();
    let mut names = png_names(&names).into_iter();
    for source in &given.sources {
        for places in source.split.first(usize::MAX).chunks(CHUNK) {
            let Some([_, pixels]) = block_on(predictor.reconstructions(&source.split, places))? else {
                bail!(Error::config(format!(
                    "model.kind = \"{}\" does not reconstruct images",
                    predictor.config.model.kind
                )));
            };
            for image in pixels.chunks_exact(shape.iter().product()) {
                folder.add_named(&names.next().expect("a name for each image"), image)?;
            }
        }
    }
    let count = folder.finish()?;
    given.print_notes();
    say!("{}: {}", images(count), args.png.display());
    Ok(ExitCode::SUCCESS)
}
