//! The figures of a trained run: each a file that says at its top what is drawn, all of them a [`Drawing`], which `vae draw` writes
//! into the folder of the run and a report shows. What is drawn with is `figure`.

pub mod curves;
pub mod features;
pub mod interpolation;
pub mod kl;
pub mod laplacian;
pub mod latent_grid;
mod latents;
pub mod noise;
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

use crate::figure::{self, Plot};

/// A figure, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// What its files are called, without an ending.
    pub name: String,
    /// Its heading: what it shows, the run and the epoch.
    pub title: String,
    /// What is to be seen in it, in a sentence, for somebody who does not see it.
    pub alt: String,
    /// The bytes of a PNG.
    pub png: Vec<u8>,
    /// Of a plot: the same as SVG.
    pub svg: Option<String>,
    /// Of what moves: the bytes of an animated GIF.
    pub gif: Option<Vec<u8>>,
}

/// The streams of random numbers that figures draw.
#[derive(Clone, Copy)]
enum Stream {
    Tsne,
    Noise,
}

impl Drawing {
    fn picture(name: &str, title: String, alt: String, png: Vec<u8>) -> Drawing {
        Drawing { name: name.into(), title, alt, png, svg: None, gif: None }
    }

    fn plot(name: &str, plot: &Plot, alt: String) -> Drawing {
        let (title, png, svg) = (plot.title.clone(), plot.png(), Some(plot.svg()));
        Drawing { name: name.into(), title, alt, png, svg, gif: None }
    }

    /// Its files: what they are called, and their bytes.
    pub fn files(&self) -> Vec<(String, &[u8])> {
        let svg = self.svg.as_ref().map(|svg| ("svg", svg.as_bytes()));
        let gif = self.gif.as_ref().map(|gif| ("gif", &gif[..]));
        let all = [Some(("png", &self.png[..])), svg, gif];
        all.into_iter().flatten().map(|(ending, bytes)| (format!("{}.{ending}", self.name), bytes)).collect()
    }

    /// Writes its files into the folder of a run.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub fn write(&self, folder: &mut Folder) -> Result<()> {
        self.files().into_iter().try_for_each(|(name, bytes)| folder.write(&name, bytes))
    }
}

/// Every figure of a run that needs no more than the run, in the order in which a report shows them. One that the model has
/// nothing to show in is left out.
///
/// # Errors
/// If the device fails, or an image cannot be read.
pub fn standard(run: &LoadedRun) -> Result<Vec<Drawing>> {
    let figures: [&dyn Fn() -> Result<Drawing>; 12] = [
        &|| curves::of_run(run),
        &|| reconstructions::draw(&run.title(), &run.predictor, &run.dataset.validation, &[], reconstructions::COUNT),
        &|| samples::draw(&run.title(), &run.predictor, run.class_names()),
        &|| traversal::draw(run, None),
        &|| latent_grid::draw(run, None),
        &|| interpolation::draw(run, &[], &[]),
        &|| scatter::draw(run, None),
        &|| tsne::draw(run),
        &|| kl::draw(run),
        &|| laplacian::draw(run),
        &|| noise::draw(run),
        &|| features::draw(run, 0),
    ];
    drawn(&figures)
}

/// What `train` draws of a run: curves after each epoch; reconstructions and samples at the end.
pub const OF_TRAINING: RunFigures = RunFigures { after_epoch, at_end };

fn after_epoch(config: &Config, history: &[Epoch]) -> Vec<RunFile> {
    let title = format!("{}, epoch {}: {}", config.name, history.len(), vae_run::describe(config));
    let plot = figure::curves(&title, history, vae_run::loss_unit(config));
    vec![("curves.png".into(), plot.png()), ("curves.svg".into(), plot.svg().into_bytes())]
}

fn at_end(predictor: &Predictor, dataset: &Dataset, epoch: usize) -> Result<Vec<RunFile>> {
    let title = format!("{}, epoch {epoch}", predictor.config.name);
    let names = dataset.test.images().class_names();
    let drawings = drawn(&[
        &|| reconstructions::draw(&title, predictor, &dataset.validation, &[], reconstructions::COUNT),
        &|| samples::draw(&title, predictor, names),
    ])?;
    let files = drawings.iter().flat_map(Drawing::files);
    Ok(files.map(|(name, bytes)| (name, bytes.to_vec())).collect())
}

/// What shows best how runs differ, for a page that has several.
///
/// # Errors
/// As [`standard`].
pub fn beside_others(run: &LoadedRun) -> Result<Vec<Drawing>> {
    drawn(&[
        &|| {
            reconstructions::draw(
                &run.title(),
                &run.predictor,
                &run.dataset.validation,
                &[],
                reconstructions::COUNT / 2,
            )
        },
        &|| samples::draw(&run.title(), &run.predictor, run.class_names()),
        &|| laplacian::draw(run),
    ])
}

/// Nothing was asked for but the run: what a configuration error says is that the figure is not for it.
fn drawn(figures: &[&dyn Fn() -> Result<Drawing>]) -> Result<Vec<Drawing>> {
    let drawn = figures.iter().map(|figure| figure()).filter(|drawn| !matches!(drawn, Err(Error::Config(_))));
    drawn.collect()
}

/// That a figure is not for a model, and why.
fn not_for(predictor: &Predictor, figure: &str, lacks: &str) -> Error {
    Error::config(format!("{figure}: model.kind = \"{}\" {lacks}", predictor.config.model.kind))
}

/// Refuses a place that no test image is in.
fn check_place(run: &LoadedRun, flag: &str, place: usize) -> Result<()> {
    match run.dataset.test.count() {
        0 => Err(Error::config("there are no test images")),
        count if place >= count => Err(Error::config(format!(
            "{flag} {place}: there is no such test image; test images are 0 to {}",
            count - 1
        ))),
        _ => Ok(()),
    }
}

/// The places of the first test images.
fn first_places(run: &LoadedRun, most: usize) -> Result<Vec<usize>> {
    check_place(run, "", 0)?;
    Ok(run.dataset.test.first(most))
}

#[cfg(test)]
mod tests;
