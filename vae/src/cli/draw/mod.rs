//! `vae draw`: figures of a trained run, written into its folder or another one.

mod pegasus;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use vae_figures::gallery::{self, Drawing};
use vae_run::Folder;
use vae_run::LoadedRun;

use super::load::{LoadOptions, PriorOption, warn_of_changes};
use super::output;
use crate::say;

const EXAMPLES: &str = "\
Examples:
  vae draw runs/quickstart-20261121-120000 all                         every figure that needs no more than the run
  vae draw runs/quickstart-20261121-120000 traversal --image 3         each latent of a test image from -3 to 3, and a GIF
  vae draw runs/quickstart-20261121-120000 latent-grid --dims 3,7      decoded images over the plane of two latents
  vae draw runs/a reconstructions --with runs/b --with runs/c          the same images by three runs
  vae draw runs/beta-sweep curves --by loss.beta                       a sweep's runs, a panel for each value of a key
  vae draw runs/quickstart-20261121-120000 kl --out figures            into another folder
  vae draw runs/pegasus-20261121-120000 pegasus                        white horses, and birds, into winged horses
  vae draw runs/pegasus-20261121-120000 pegasus --a 3,7 --b my-gull.jpg,heron.png --negate 1 --weight 0.5

Exit codes: 0 done, 1 failed, 2 bad usage or configuration.";

/// Draws figures of a trained model into the folder of its run or another folder, as PNG, SVG and GIF.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the run
    run: PathBuf,
    /// The folder to write into [default: the folder of the run]
    #[arg(long, value_name = "DIR", global = true, value_hint = clap::ValueHint::DirPath)]
    out: Option<PathBuf>,
    #[command(flatten)]
    prior: PriorOption,
    #[command(flatten)]
    load: LoadOptions,
    #[command(subcommand)]
    figure: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    /// Every figure that needs no more than the run
    All,
    /// Losses over the epochs, of this run or of several
    Curves(Curves),
    /// Images over what the model, and others, make of them
    Reconstructions(Reconstructions),
    /// Decoded draws from N(0, I), or from a fitted prior
    Samples,
    /// Test images over samples of each prior that vae fit-prior fitted, a row each
    Priors,
    /// One latent at a time from -3 to 3, those of the highest KL
    Traversal(Traversal),
    /// Decoded images over the plane of two latents, at quantiles of the prior
    LatentGrid(Plane),
    /// On the way between test images, linearly and spherically
    Interpolation(Interpolation),
    /// Each group of latents of a hierarchical model, on the way from one test image to another
    Groups,
    /// Test images of a conditional model, and their latents decoded with each label
    Labels,
    /// Means of test images in the plane of two latents, coloured by label
    Scatter(Plane),
    /// Means of test images in a plane that keeps neighbours, coloured by label
    Tsne,
    /// The KL of each latent
    Kl,
    /// How sharp test images, reconstructions and samples are
    Laplacian,
    /// Noise in, image out
    Noise,
    /// Four maps of every stage that an image passes through
    Features(Features),
    /// Blend two kinds of images, as 0.6·horse + 0.4·bird
    Pegasus(pegasus::Options),
}

#[derive(Debug, clap::Args)]
struct Curves {
    /// Another run, or the folder of a sweep; may be repeated
    #[arg(long, value_name = "RUN")]
    with: Vec<PathBuf>,
    /// A panel for each value of this key, such as loss.beta
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Reconstructions {
    /// Another run on the same images; may be repeated
    #[arg(long, value_name = "RUN")]
    with: Vec<PathBuf>,
    /// How many images, at most
    #[arg(long, value_name = "N", default_value_t = gallery::reconstructions::COUNT as u32,
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: u32,
}

#[derive(Debug, clap::Args)]
struct Traversal {
    /// Around the test image in this place instead of around 0
    #[arg(long, value_name = "PLACE")]
    image: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct Plane {
    /// Two latents, such as 3,7 [default: those of the highest KL]
    #[arg(long, value_name = "A,B", value_parser = dims)]
    dims: Option<[usize; 2]>,
}

#[derive(Debug, clap::Args)]
struct Interpolation {
    /// From these test images, by their places such as 3,7 [default: the first four]
    #[arg(long, value_name = "PLACES", value_delimiter = ',', requires = "b")]
    a: Vec<usize>,
    /// To these, as many [default: for each the next that shows something else]
    #[arg(long, value_name = "PLACES", value_delimiter = ',', requires = "a")]
    b: Vec<usize>,
}

#[derive(Debug, clap::Args)]
struct Features {
    /// The test image, by its place
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    image: usize,
}

fn dims(words: &str) -> Result<[usize; 2], String> {
    let numbers: Option<Vec<usize>> = words.split(',').map(|word| word.trim().parse().ok()).collect();
    numbers
        .and_then(|dims| dims.try_into().ok())
        .ok_or_else(|| "it must be the numbers of two latents, such as 3,7".into())
}

/// Writes the run's folder as `./NAME` if it exists, so that a folder called `samples` is not taken for the figure.
/// The words start with the program's name and `draw`.
pub(super) fn with_explicit_folder(mut words: Vec<OsString>) -> Vec<OsString> {
    if let [_, command, folder, ..] = &mut words[..]
        && *command == "draw"
        && Path::new(folder).is_dir()
    {
        *folder = Path::new(".").join(&folder).into();
    }
    words
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let Args { run: path, out, prior, load, figure } = args;
    out.iter().try_for_each(|out| output::folder(out))?;
    let place = out.as_ref().unwrap_or(&path);
    if let Figure::Curves(Curves { with, by }) = figure {
        let folders: Vec<PathBuf> = std::iter::once(path.clone()).chain(with).collect();
        write(place, &gallery::curves::of_folders(&folders, by.as_deref())?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let with = if let Figure::Reconstructions(options) = &figure { &options.with[..] } else { &[] };
    let paths: Vec<PathBuf> = std::iter::once(&path).chain(with).cloned().collect();
    let (_, mut runs) = load.load_all(&paths)?;
    prior.apply(&mut runs[0])?;
    match figure {
        Figure::All => gallery::standard(&runs[0])?.iter().try_for_each(|drawing| write(place, drawing))?,
        Figure::Pegasus(options) => pegasus::draw(&runs[0], &options, place)?,
        figure => write(place, &drawing(&runs, &figure)?)?,
    }
    runs.iter().for_each(warn_of_changes);
    Ok(ExitCode::SUCCESS)
}

/// A figure of the first of these runs.
fn drawing(runs: &[LoadedRun], figure: &Figure) -> vae_core::Result<Drawing> {
    let run = &runs[0];
    match figure {
        Figure::Reconstructions(options) => {
            let others: Vec<_> = runs[1..].iter().map(|other| (other.title(), &other.predictor)).collect();
            gallery::reconstructions::draw(
                &run.title(),
                &run.predictor,
                &run.dataset()?.validation,
                &others,
                options.count as usize,
            )
        }
        Figure::Samples => gallery::samples::draw(&run.title(), &run.predictor, run.class_names()),
        Figure::Priors => gallery::priors::draw(run),
        Figure::Traversal(options) => gallery::traversal::draw(run, options.image),
        Figure::LatentGrid(options) => gallery::latent_grid::draw(run, options.dims),
        Figure::Interpolation(options) => gallery::interpolation::draw(run, &options.a, &options.b),
        Figure::Groups => gallery::groups::draw(run),
        Figure::Labels => gallery::labels::draw(run),
        Figure::Scatter(options) => gallery::scatter::draw(run, options.dims),
        Figure::Tsne => gallery::tsne::draw(run),
        Figure::Kl => gallery::kl::draw(run),
        Figure::Laplacian => gallery::laplacian::draw(run),
        Figure::Noise => gallery::noise::draw(run),
        Figure::Features(options) => gallery::features::draw(run, options.image),
        Figure::All | Figure::Curves(_) | Figure::Pegasus(_) => unreachable!("drawn elsewhere"),
    }
}

/// Writes a figure into a folder, and prints its files and what it shows.
fn write(path: &Path, drawing: &Drawing) -> vae_core::Result<()> {
    drawing.write(&mut Folder::open_unlocked(path))?;
    let files: Vec<String> = drawing.files().iter().map(|(name, _)| path.join(name).display().to_string()).collect();
    say!("{}: {}", files.join(", "), drawing.alt);
    Ok(())
}
