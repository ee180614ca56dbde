//! The figures of a trained run, one module each. Every figure is a [`Drawing`]: `vae draw` writes it into the folder of the
//! run, and a report shows it. The drawing itself is done by `figure`.

pub mod curves;
pub mod features;
pub mod groups;
pub mod interpolation;
pub mod kl;
pub mod labels;
pub mod laplacian;
pub mod latent_grid;
mod latents;
pub mod noise;
pub mod priors;
pub mod reconstructions;
pub mod samples;
pub mod scatter;
pub mod traversal;
pub mod tsne;

use vae_core::config::Config;
use vae_core::data::Dataset;
use vae_core::predict::Predictor;
use vae_core::train::Epoch;
use vae_core::{Error, Result};
use vae_run::Folder;
use vae_run::LoadedRun;
use vae_run::{RunFigures, RunFile};

use crate::figure::{self, PageFigure, Plot, Tiles};
use crate::map;

/// A finished figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The name of its files, without extension.
    pub name: String,
    /// The title: what the figure shows, the run and the epoch.
    pub title: String,
    /// A sentence that describes the figure to readers who cannot see it.
    pub alt: String,
    /// The figure as a PNG.
    pub png: Vec<u8>,
    /// The same as an SVG, if the figure is a plot.
    pub svg: Option<String>,
    /// An animated GIF, if the figure moves.
    pub gif: Option<Vec<u8>>,
    /// The figure for a page that has the title above it.
    pub page: PageFigure,
}

/// The streams of random numbers that figures draw from.
#[derive(Clone, Copy)]
enum Stream {
    Tsne,
    Noise,
}

impl Drawing {
    fn picture(name: &str, title: String, alt: String, Tiles { png, page }: Tiles) -> Drawing {
        Drawing { name: name.into(), title, alt, png, svg: None, gif: None, page }
    }

    fn plot(name: &str, plot: &Plot, alt: String) -> Drawing {
        let (title, png, svg) = (plot.title.clone(), plot.png(), Some(plot.svg()));
        Drawing { name: name.into(), title, alt, png, svg, gif: None, page: plot.page() }
    }

    /// The names and contents of its files.
    pub fn files(&self) -> Vec<(String, &[u8])> {
        let svg = self.svg.as_ref().map(|svg| ("svg", svg.as_bytes()));
        let gif = self.gif.as_ref().map(|gif| ("gif", &gif[..]));
        let all = [Some(("png", &self.png[..])), svg, gif];
        all.into_iter().flatten().map(|(ending, bytes)| (format!("{}.{ending}", self.name), bytes)).collect()
    }

    /// Writes the files into the folder of a run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &mut Folder) -> Result<()> {
        self.files().into_iter().try_for_each(|(name, bytes)| folder.write(&name, bytes))
    }
}

/// Returns every figure that needs no arguments besides the run, in the order of a report. Figures that do not apply to the
/// model are left out.
///
/// # Errors
/// If the device fails, or an image cannot be read.
pub fn standard(run: &LoadedRun) -> Result<Vec<Drawing>> {
    let figures: [&dyn Fn() -> Result<Drawing>; 15] = [
        &|| curves::of_run(run),
        &|| {
            reconstructions::draw(&run.title(), &run.predictor, &run.dataset()?.validation, &[], reconstructions::COUNT)
        },
        &|| samples::draw(&run.title(), &run.predictor, run.class_names()),
        &|| priors::draw(run),
        &|| traversal::draw(run, None),
        &|| latent_grid::draw(run, None),
        &|| interpolation::draw(run, &[], &[]),
        &|| groups::draw(run),
        &|| labels::draw(run),
        &|| scatter::draw(run, None),
        &|| tsne::draw(run),
        &|| kl::draw(run),
        &|| laplacian::draw(run),
        &|| noise::draw(run),
        &|| features::draw(run, 0),
    ];
    drawn(&figures)
}

/// The figures of `vae train`: curves after each epoch, the map of two latents after some, reconstructions and samples at the end.
pub const TRAINING_FIGURES: RunFigures = RunFigures { after_epoch, of_epoch: map::of_epoch, at_end };

fn after_epoch(config: &Config, history: &[Epoch]) -> Vec<RunFile> {
    let title = format!("{}, epoch {}: {}", config.name, history.len(), vae_run::describe(config));
    let plot = figure::curves(&title, history, vae_run::loss_unit(config));
    vec![("curves.png".into(), plot.png()), ("curves.svg".into(), plot.svg().into_bytes())]
}

fn at_end(predictor: &Predictor, dataset: &Dataset, weights: &str) -> Result<Vec<RunFile>> {
    let title = format!("{}, {weights}", predictor.config.name);
    let names = dataset.test.images().class_names();
    let drawings = drawn(&[
        &|| reconstructions::draw(&title, predictor, &dataset.validation, &[], reconstructions::COUNT),
        &|| samples::draw(&title, predictor, names),
    ])?;
    let files = drawings.iter().flat_map(Drawing::files);
    Ok(files.map(|(name, bytes)| (name, bytes.to_vec())).collect())
}

/// Returns the figures that show best how runs differ, for a page with several runs.
///
/// # Errors
/// As [`standard`].
pub fn comparison(run: &LoadedRun) -> Result<Vec<Drawing>> {
    drawn(&[
        &|| {
            reconstructions::draw(
                &run.title(),
                &run.predictor,
                &run.dataset()?.validation,
                &[],
                reconstructions::COUNT / 2,
            )
        },
        &|| samples::draw(&run.title(), &run.predictor, run.class_names()),
        &|| laplacian::draw(run),
    ])
}

/// Draws figures and leaves out those that fail with a configuration error. Nothing was asked for beyond the run, so such an
/// error means that the figure does not apply to the model.
fn drawn(figures: &[&dyn Fn() -> Result<Drawing>]) -> Result<Vec<Drawing>> {
    let drawn = figures.iter().map(|figure| figure()).filter(|drawn| !matches!(drawn, Err(Error::Config(_))));
    drawn.collect()
}

/// The error that a figure does not apply to a model, with the reason.
fn not_for(predictor: &Predictor, figure: &str, lacks: &str) -> Error {
    Error::config(format!("{figure}: model.kind = \"{}\" {lacks}", predictor.config.model.kind))
}

/// Returns an error if there is no test image of this index.
fn check_place(run: &LoadedRun, flag: &str, place: usize) -> Result<()> {
    check_index(flag, place, run.dataset()?.test.count())
}

fn check_index(flag: &str, place: usize, count: usize) -> Result<()> {
    match count {
        0 => Err(Error::config("there are no test images")),
        count if place >= count => Err(Error::config(format!(
            "{flag} {place}: there is no such test image; test images are 0 to {}",
            count - 1
        ))),
        _ => Ok(()),
    }
}

/// The indices of the first test images.
fn first_places(run: &LoadedRun, most: usize) -> Result<Vec<usize>> {
    check_place(run, "", 0)?;
    Ok(run.dataset()?.test.first(most))
}

#[cfg(test)]
mod file_laws;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod prior_laws;
#[cfg(test)]
mod sweep_laws;
#[cfg(test)]
mod tests;
