//! The latent explorer: what a page asks of a trained model, one question at a time, without a server.
//!
//! z is decoded to x̂, an image is encoded to μ(x); moving and blending, z = Σᵢ wᵢ·sᵢ·zᵢ with sᵢ = ±1, is the page's own
//! arithmetic. [`Explorer`] answers; it holds tensors, which stay on one thread, so questions reach it over a channel
//! (`pages`).

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

/// Test images on the map, at most.
const MAPPED: usize = 2_000;
/// A slider reaches at least so far to both sides: 99.7 % of the prior.
const REACH: f32 = 3.0;
/// No number of a latent is larger: what is, is a slip of the hand, and overflows somewhere in the decoder.
const LARGEST: f32 = 1e4;

/// A trained model, and where its test images lie.
pub struct Explorer {
    run: LoadedRun,
    /// μ of the first test images, one after the other.
    codes: Vec<f32>,
}

/// What a page begins with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct About {
    /// The run and its epoch.
    pub title: String,
    /// What was trained, in a line.
    pub words: String,
    /// Channels and side of its images.
    pub shape: [usize; 3],
    /// Its latents, the highest KL first.
    pub latents: Vec<Latent>,
    /// How many test images there are.
    pub images: usize,
    /// What labels are called.
    pub classes: Vec<String>,
    /// Labels that the decoder is told; 0 if it is not.
    pub told: usize,
}

/// A latent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latent {
    /// Which, from 0.
    pub dim: usize,
    /// Its KL in nats, a mean over the validation images; 0 where no epoch has ended.
    pub kl: f64,
    /// How far from 0 its slider reaches.
    pub reach: f32,
}

/// A point to decode.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// As many numbers as there are latents.
    pub z: Vec<f32>,
    /// What a conditional model is told to show.
    #[serde(default)]
    pub label: usize,
}

/// An image, encoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Code {
    /// The mean of its posterior.
    pub z: Vec<f32>,
    /// What it shows, if that is known.
    pub label: Option<usize>,
    /// The image as the model sees it: a PNG as a `data:` address.
    pub picture: String,
}

/// Test images in the plane of two latents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Map {
    /// Where each is.
    pub points: Vec<[f32; 2]>,
    /// What each shows.
    pub labels: Vec<usize>,
}

impl Explorer {
    /// An explorer of a run; encodes test images for the map.
    ///
    /// # Errors
    /// If the model has no latents to explore, or the device fails.
    pub fn new(run: LoadedRun) -> Result<Explorer> {
        let model = &run.predictor.config.model;
        if !model.is_vae() {
            return Err(Error::config(format!("model.kind = \"{}\" has no latents to explore", model.kind)));
        }
        let test = &run.dataset.test;
        let places: Vec<usize> = (0..MAPPED.min(test.count())).collect();
        let codes = match places.is_empty() {
            true => Vec::new(),
            false => means(&run, test, &places)?,
        };
        Ok(Explorer { run, codes })
    }

    /// What there is to explore.
    pub fn about(&self) -> About {
        let (predictor, z_dim) = (&self.run.predictor, self.z_dim());
        let epoch = self.run.history.iter().find(|epoch| epoch.epoch == self.run.epoch);
        let kl = |dim: usize| epoch.and_then(|epoch| epoch.validation.kl_per_dim.get(dim)).copied().unwrap_or(0.0);
        let reach = |dim: usize| {
            let farthest = self.codes.iter().skip(dim).step_by(z_dim).fold(REACH, |most, mu| most.max(mu.abs()));
            farthest.ceil()
        };
        let mut latents: Vec<Latent> = (0..z_dim).map(|dim| Latent { dim, kl: kl(dim), reach: reach(dim) }).collect();
        latents.sort_by(|a, b| b.kl.total_cmp(&a.kl)); // stable: of equal ones the first
        About {
            title: self.run.title(),
            words: vae_run::describe(&predictor.config),
            shape: predictor.transform.shape(),
            latents,
            images: self.run.dataset.test.count(),
            classes: self.run.dataset.test.images().class_names().to_vec(),
            told: predictor.config.told_classes(),
        }
    }

    /// What the decoder makes of a point, as the bytes of a PNG.
    ///
    /// # Errors
    /// If it is no point of this model's, or the device fails.
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

    /// A test image, encoded.
    ///
    /// # Errors
    /// If there is no such image, it cannot be read, or the device fails.
    pub fn image(&self, place: usize) -> Result<Code> {
        let test = &self.run.dataset.test;
        match test.count() {
            0 => Err(Error::config("this run has no test images")),
            count if place >= count => {
                Err(Error::config(format!("there is no test image {place}; test images are 0 to {}", count - 1)))
            }
            _ => self.code(test, place, Some(test.label(place))),
        }
    }

    /// A picture from anywhere, encoded: a JPEG or a PNG, cropped as the run's own are; a conditional model is told that it
    /// shows `label`.
    ///
    /// # Errors
    /// If it is neither, damaged, or too large, or the device fails.
    pub fn picture(&self, bytes: &[u8], label: usize) -> Result<Code> {
        self.check_label(label)?;
        let config = &self.run.predictor.config;
        let (channels, side) = (config.channels(), config.image_size());
        let mut pixels = vec![0; channels * side * side];
        let region = Region::Crop(config.data.crop.unwrap_or(Crop::Centre));
        picture::from_bytes(bytes, region, channels, side, &mut pixels)
            .map_err(|what| Error::config(format!("the picture {what}")))?;
        let split = Split::all(Images::new(pixels, vec![label as u16], channels, [side, side]));
        self.code(&split, 0, Some(label).filter(|_| config.told_classes() > 0))
    }

    /// Where test images lie in the plane of two latents.
    ///
    /// # Errors
    /// If the model has not these two.
    pub fn map(&self, dims: [usize; 2]) -> Result<Map> {
        let z_dim = self.z_dim();
        if let Some(dim) = dims.iter().find(|&&dim| dim >= z_dim) {
            return Err(Error::config(format!("there is no latent {dim}; latents are 0 to {}", z_dim - 1)));
        }
        let points: Vec<[f32; 2]> = self.codes.chunks_exact(z_dim).map(|mu| dims.map(|dim| mu[dim])).collect();
        let places: Vec<usize> = (0..points.len()).collect();
        Ok(Map { labels: self.run.dataset.test.labels(&places), points })
    }

    fn code(&self, split: &Split, place: usize, label: Option<usize>) -> Result<Code> {
        let predictor = &self.run.predictor;
        let z = means(&self.run, split, &[place])?;
        let pixels = block_on(predictor.to_unit(&predictor.batch(split, &[place])?))?;
        let png = tiles(&pixels, predictor.transform.shape(), 1);
        Ok(Code { z, label, picture: format!("data:image/png;base64,{}", BASE64.encode(png)) })
    }

    fn check_label(&self, label: usize) -> Result<()> {
        match self.run.predictor.config.told_classes() {
            0 => Ok(()), // it is not told
            classes if label < classes => Ok(()),
            classes => Err(Error::config(format!("{label} is not a label; labels are 0 to {}", classes - 1))),
        }
    }

    fn z_dim(&self) -> usize {
        self.run.predictor.config.model.z_dim
    }
}

/// Means of the posteriors of images of a split, one after the other.
fn means(run: &LoadedRun, split: &Split, places: &[usize]) -> Result<Vec<f32>> {
    let [mu, _] = block_on(run.predictor.encode(split, places))?.expect("a VAE has posteriors");
    Ok(mu.data().to_vec())
}

#[cfg(test)]
mod tests;
