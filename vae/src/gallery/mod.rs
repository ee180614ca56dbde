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

use crate::error::{Error, Result};
use crate::figure::Plot;
use crate::run::Folder;
use crate::train::Trainer;
use crate::trained::Trained;

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
pub fn standard(run: &Trained) -> Result<Vec<Drawing>> {
    let figures: [&dyn Fn() -> Result<Drawing>; 12] = [
        &|| curves::of_run(run),
        &|| reconstructions::draw(&run.title(), &run.trainer, &[], reconstructions::COUNT),
        &|| samples::draw(&run.title(), &run.trainer),
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

/// What shows best how runs differ, for a page that has several.
///
/// # Errors
/// As [`standard`].
pub fn beside_others(run: &Trained) -> Result<Vec<Drawing>> {
    drawn(&[
        &|| reconstructions::draw(&run.title(), &run.trainer, &[], reconstructions::COUNT / 2),
        &|| samples::draw(&run.title(), &run.trainer),
        &|| laplacian::draw(run),
    ])
}

/// Nothing was asked for but the run: what a configuration error says is that the figure is not for it.
fn drawn(figures: &[&dyn Fn() -> Result<Drawing>]) -> Result<Vec<Drawing>> {
    let drawn = figures.iter().map(|figure| figure()).filter(|drawn| !matches!(drawn, Err(Error::Config(_))));
    drawn.collect()
}

/// That a figure is not for a model, and why.
fn not_for(trainer: &Trainer, figure: &str, lacks: &str) -> Error {
    Error::config(format!("{figure}: model.kind = \"{}\" {lacks}", trainer.config.model.kind))
}

/// Refuses a place that no test image is in.
fn check_place(run: &Trained, flag: &str, place: usize) -> Result<()> {
    match run.trainer.dataset.test.count() {
        0 => Err(Error::config("there are no test images")),
        count if place >= count => {
            Err(Error::config(format!("{flag} {place}: the test images are 0 to {}", count - 1)))
        }
        _ => Ok(()),
    }
}

/// The places of the first test images.
fn first_places(run: &Trained, most: usize) -> Result<Vec<usize>> {
    check_place(run, "", 0)?;
    Ok((0..most.min(run.trainer.dataset.test.count())).collect())
}

/// The mean squared difference of two lists of pixels.
fn mse(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}

#[cfg(test)]
mod tests;
