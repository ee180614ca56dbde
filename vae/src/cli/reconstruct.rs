//! `vae reconstruct`: images to a trained model's latents and back, as pictures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use pollster::block_on;
use vae_core::Error;
use vae_data::folder;
use vae_figures::image_folder::ImageFolder;

use super::input;
use super::load::LoadOptions;
use crate::say;

/// A test runs every line that starts with `  vae reconstruct`.
const EXAMPLES: &str = "\
Examples:
  vae reconstruct runs/quickstart a.png b.png --png seen       seen/a.png and seen/b.png
  vae reconstruct runs/quickstart photos --png again           every picture of a folder and its sub-folders
  vae reconstruct runs/quickstart test --png test              the test images; train and validation likewise

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
    /// Pictures or folders of pictures; or train, validation or test
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// A folder to make, of a PNG for each picture, with the picture's name
    #[arg(long, value_name = "DIR")]
    png: PathBuf,
    #[command(flatten)]
    load: LoadOptions,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let run = args.load.load(&args.run)?;
    let predictor = &run.predictor;
    let (split, names) = match input::split_named(&run, &args.pictures)? {
        Some(split) => (split.clone(), (0..split.count()).map(|i| format!("{i:05}")).collect()),
        None => {
            input::refuse_conditional(&predictor.config, "reconstruct")?;
            let (files, names) = files(&args.pictures)?;
            (input::read(&files, &predictor.config)?, names)
        }
    };
    let places: Vec<usize> = (0..split.count()).collect();
    if places.is_empty() {
        bail!(Error::config("this split of the images is empty; choose another one"));
    }
    let shape = predictor.transform.shape();
    let mut folder = ImageFolder::new(&args.png, shape)?;
    for (places, names) in places.chunks(CHUNK).zip(names.chunks(CHUNK)) {
        let Some([_, pixels]) = block_on(predictor.reconstructions(&split, places))? else {
            bail!(Error::config(format!(
                "model.kind = \"{}\" does not reconstruct images",
                predictor.config.model.kind
            )));
        };
        for (name, image) in names.iter().zip(pixels.chunks_exact(shape.iter().product())) {
            folder.add_named(&format!("{name}.png"), image)?;
        }
    }
    say!("{} images: {}", folder.finish()?, args.png.display());
    Ok(ExitCode::SUCCESS)
}

/// The picture files of these files and folders, and a name for each, all different.
fn files(words: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let mut files = Vec::new();
    let mut names = Vec::new();
    let mut taken = BTreeSet::new();
    for word in words {
        let (inside, base) = match word.is_dir() {
            true => (folder::paths(word)?, word.as_path()),
            false => (vec![word.clone()], word.parent().unwrap_or(Path::new(""))),
        };
        for path in inside {
            names.push(unused_name(path.strip_prefix(base).unwrap_or(&path), &mut taken));
            files.push(path);
        }
    }
    Ok((files, names))
}

/// `cats/1.jpg` as `cats-1`; a second picture of this name is `cats-1-2`.
fn unused_name(path: &Path, taken: &mut BTreeSet<String>) -> String {
    let parts = path.with_extension("");
    let name = parts.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("-");
    let mut candidates = std::iter::once(name.clone()).chain((2_u64..).map(|k| format!("{name}-{k}")));
    let unused = candidates.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or(name);
    taken.insert(unused.to_lowercase()); // some file systems take A.png and a.png for the same
    unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_names_and_none_gets_that_of_another() {
        let mut taken = BTreeSet::new();
        let names =
            ["a.png", "cats/a.jpg", "a.jpg", "A.jpeg", "b.c.png"].map(|path| unused_name(path.as_ref(), &mut taken));
        assert_eq!(names, ["a", "cats-a", "a-2", "A-3", "b.c"]);
    }
}
