//! The latent explorer: answers the requests of its page from a trained model. This module contains no server.
//!
//! [`Explorer`] decodes z to x̂ and encodes an image to μ(x). The page itself moves and blends latents, z = Σᵢ wᵢ·sᵢ·zᵢ with
//! sᵢ = ±1. An explorer owns tensors, which stay on one thread, so requests reach it over a channel (`pages`).

mod pages;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use tensor::Tensor;
use vae_core::config::Crop;
use vae_core::data::{Images, Split};
use vae_core::{Error, Result};
use vae_data::picture::{self, Region};
use vae_figures::preview::tiles;
use vae_run::LoadedRun;

pub use pages::serve;

/// The largest number of test images on the map.
const MAPPED: usize = 2_000;
/// The minimal range of a slider, to both sides of 0. It contains 99.7 % of the prior.
const REACH: f32 = 3.0;
/// The largest absolute value of a latent. Larger ones are input errors and overflow in the decoder.
const LARGEST: f32 = 1e4;

/// A trained model and the positions of its test images.
pub struct Explorer {
    run: LoadedRun,
    /// The test images; `None` if the run's images are not on this machine.
    test: Option<Split>,
    /// μ of the first test images, one after the other.
    codes: Vec<f32>,
}

/// What the page needs at the beginning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct About {
    /// The run and its epoch.
    pub title: String,
    /// A one-line description of the training.
    pub words: String,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// The latents in descending order of KL.
    pub latents: Vec<Latent>,
    /// The number of test images.
    pub images: usize,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The number of labels that a conditional decoder takes; 0 for other models.
    pub told: usize,
}

/// A latent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latent {
    /// The index, from 0.
    pub dim: usize,
    /// The KL in nats, a mean over the validation images; 0 before the first epoch ends.
    pub kl: f64,
    /// The slider's range is `-reach` to `reach`.
    pub reach: f32,
}

/// A point in latent space.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// One number per latent.
    pub z: Vec<f32>,
    /// The label that a conditional decoder gets.
    #[serde(default)]
    pub label: usize,
}

/// An encoded image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Code {
    /// The posterior mean.
    pub z: Vec<f32>,
    /// The label of the image, if it is known.
    pub label: Option<usize>,
    /// The image as the model sees it, as a PNG in a `data:` URL.
    pub picture: String,
}

/// Test images in the plane of two latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// The position of each image.
    pub points: Vec<[f32; 2]>,
    /// The label of each image.
    pub labels: Vec<usize>,
}

impl Explorer {
    /// Creates an explorer of a run and encodes the test images for the map. If the images cannot be read, there is no map.
    ///
    /// # Errors
    /// If the model has no latents, or the device fails.
    pub fn new(run: LoadedRun) -> Result<Explorer> {
        let model = &run.predictor.config.model;
        if !model.is_vae() {
            return Err(Error::config(format!("model.kind = \"{}\" has no latents to explore", model.kind)));
        }
        let test = run.dataset().ok().map(|dataset| dataset.test.clone());
        let codes = match test.as_ref().filter(|test| test.count() > 0) {
            Some(test) => means(&run, test, &test.first(MAPPED))?,
            None => Vec::new(),
        };
        Ok(Explorer { run, test, codes })
    }

    /// Describes the model.
    pub fn about(&self) -> About {
        let (predictor, z_dim) = (&self.run.predictor, self.z_dim());
        let epoch = self.run.history.iter().find(|epoch| epoch.epoch == self.run.epoch);
        let kl = |dim: usize| epoch.and_then(|epoch| epoch.validation.kl_per_dim.get(dim)).copied().unwrap_or(0.0);
        let reach = |dim: usize| {
            let farthest = self.codes.iter().skip(dim).step_by(z_dim).fold(REACH, |most, mu| most.max(mu.abs()));
            farthest.ceil()
        };
        let mut latents: Vec<Latent> = (0..z_dim).map(|dim| Latent { dim, kl: kl(dim), reach: reach(dim) }).collect();
        latents.sort_by(|a, b| b.kl.total_cmp(&a.kl)); // stable: ties stay in the order of their indices
        About {
            title: self.run.title(),
            words: vae_run::describe(&predictor.config),
            shape: predictor.transform.shape(),
            latents,
            images: self.test.as_ref().map_or(0, Split::count),
            classes: self.run.class_names().to_vec(),
            told: predictor.config.condition_classes(),
        }
    }

    /// Decodes a point and returns the image as a PNG.
    ///
    /// # Errors
    /// If the point is not one of this model's latent space, or the device fails.
    pub fn decode(&self, point: &Point) -> Result<Vec<u8>> {
        let (z_dim, predictor) = (self.z_dim(), &self.run.predictor);
        if point.z.len() != z_dim {
            return Err(Error::config(format!("z has {} numbers, but this model needs {z_dim}", point.z.len())));
        }
        if let Some(bad) = point.z.iter().find(|x| x.is_nan() || x.abs() > LARGEST) {
            return Err(Error::config(format!(
                "z contains {bad}; its numbers must be between -{LARGEST} and {LARGEST}"
            )));
        }
        self.check_label(point.label)?;
        let z = Tensor::new(&point.z, [1, z_dim]);
        let pixels = block_on(predictor.decode(&z, &[point.label]))?.expect("what has latents decodes them");
        Ok(tiles(&pixels, predictor.transform.shape(), 1))
    }

    /// Encodes a test image.
    ///
    /// # Errors
    /// If there is no such image, it cannot be read, or the device fails.
    pub fn image(&self, place: usize) -> Result<Code> {
        let test = self.test.as_ref().filter(|test| test.count() > 0);
        let test = test.ok_or_else(|| Error::config("there are no test images"))?;
        match test.count() {
            count if place >= count => {
                Err(Error::config(format!("there is no test image {place}; test images are 0 to {}", count - 1)))
            }
            _ => self.code(test, place, Some(test.label(place))),
        }
    }

    /// Encodes an uploaded JPEG or PNG, which is cropped like the run's own images. A conditional model takes `label` as the
    /// class of the image.
    ///
    /// # Errors
    /// If the data is not a JPEG or PNG, damaged, or too large, or the device fails.
    pub fn picture(&self, bytes: &[u8], label: usize) -> Result<Code> {
        self.check_label(label)?;
        let config = &self.run.predictor.config;
        let (channels, side) = (config.channels(), config.image_size());
        let mut pixels = vec![0; channels * side * side];
        let region = Region::Crop(config.data.crop.unwrap_or(Crop::Centre));
        picture::from_bytes(bytes, region, channels, side, &mut pixels)
            .map_err(|what| Error::config(format!("the picture {what}")))?;
        let split = Split::all(Images::new(pixels, vec![label as u16], channels, [side, side]));
        self.code(&split, 0, Some(label).filter(|_| config.condition_classes() > 0))
    }

    /// Returns the positions of the test images in the plane of two latents.
    ///
    /// # Errors
    /// If the model does not have these two latents.
    pub fn map(&self, dims: [usize; 2]) -> Result<Map> {
        let z_dim = self.z_dim();
        if let Some(dim) = dims.iter().find(|&&dim| dim >= z_dim) {
            return Err(Error::config(format!("there is no latent {dim}; latents are 0 to {}", z_dim - 1)));
        }
        let points: Vec<[f32; 2]> = self.codes.chunks_exact(z_dim).map(|mu| dims.map(|dim| mu[dim])).collect();
        let places: Vec<usize> = (0..points.len()).collect();
        Ok(Map { labels: self.test.as_ref().map_or(Vec::new(), |test| test.labels(&places)), points })
    }

    fn code(&self, split: &Split, place: usize, label: Option<usize>) -> Result<Code> {
        let predictor = &self.run.predictor;
        let z = means(&self.run, split, &[place])?;
        let pixels = block_on(predictor.to_unit(&predictor.batch(split, &[place])?))?;
        let png = tiles(&pixels, predictor.transform.shape(), 1);
        Ok(Code { z, label, picture: format!("data:image/png;base64,{}", BASE64.encode(png)) })
    }

    fn check_label(&self, label: usize) -> Result<()> {
        match self.run.predictor.config.condition_classes() {
            0 => Ok(()), // the model takes no labels
            classes if label < classes => Ok(()),
            classes => Err(Error::config(format!("{label} is not a label; labels are 0 to {}", classes - 1))),
        }
    }

    fn z_dim(&self) -> usize {
        self.run.predictor.config.model.z_dim
    }
}

/// Posterior means of images of a split, one after the other.
fn means(run: &LoadedRun, split: &Split, places: &[usize]) -> Result<Vec<f32>> {
    let [mu, _] = block_on(run.predictor.encode(split, places))?.expect("a VAE has posteriors");
    Ok(mu.data().to_vec())
}

#[cfg(test)]
mod tests;
