//! The latent explorer: answers the requests of its page from a trained model. This crate contains no server. `vae explore` serves
//! the page, and a worker of a static page answers it in the browser.
//!
//! [`Explorer`] decodes z to x̂ and encodes an image to μ(x). The page itself moves and blends latents, z = Σᵢ wᵢ·sᵢ·zᵢ with
//! sᵢ = ±1. [`Question`] is a request and [`Answer`] what it gets. A run without test images has a map without marks; everything else
//! works.

#![forbid(unsafe_code)]

mod ground;
mod question;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pollster::block_on;
use serde::{Deserialize, Serialize};
use tensor::Tensor;
use vae_core::config::Crop;
use vae_core::data::{Images, Split};
use vae_core::{Error, Result};
use vae_data::picture::{self, Region};
use vae_figures::figure::Style;
use vae_figures::preview::tiles;
use vae_run::LoadedRun;

pub use ground::Ground;
pub use question::{Answer, Question};

/// The largest number of test images on the map.
const MAPPED: usize = 2_000;
/// The minimal range of a slider, to both sides of 0. It contains 99.7 % of the prior.
const REACH: f32 = 3.0;
/// The largest absolute value of a latent. Larger ones are input errors and overflow in the decoder.
const LARGEST: f32 = 1e4;
/// The number of draws from a prior that the page chooses from.
const DRAWN: usize = 256;
/// The number of images whose border decides the ground of the run's images.
const GROUNDED: usize = 64;
/// The number of rows and columns of a mosaic.
const MOSAIC: usize = 12;

/// A trained model and the positions of its test images.
pub struct Explorer {
    run: LoadedRun,
    /// The test images; `None` if there are none, or if the run's images are not on this machine.
    test: Option<Split>,
    /// μ of the first test images, one after the other.
    codes: Vec<f32>,
    /// The KL of each latent in nats, if it is known.
    kl: Vec<f64>,
    draws: Vec<Vec<f32>>,
    /// The ground of the images that the model was trained on.
    ground: Option<Ground>,
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
    /// What random points are drawn from, in a few words.
    pub prior: String,
    /// Draws from it, each a point of the latent space; empty for N(0, I), from which the page draws by itself.
    pub draws: Vec<Vec<f32>>,
    /// The number of test images.
    pub images: usize,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The number of labels that a conditional decoder takes; 0 for other models.
    pub told: usize,
    /// How marks on the map look: label k has mark `k % marks.len()`.
    pub marks: Vec<Mark>,
    /// The ground of the images that the model was trained on; `None` if they have none in common.
    pub ground: Option<Ground>,
    /// The number of rows and columns of a mosaic.
    pub mosaic: usize,
}

/// The look of a mark on the map, as in the figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// The colours on a light and on a dark page.
    pub colours: [String; 2],
    /// The polygons of a mark of radius 1, y downwards; empty for a disc.
    pub polygons: &'static [&'static [[f32; 2]]],
}

/// A latent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latent {
    /// The index, from 0.
    pub dim: usize,
    /// The KL in nats, a mean over the validation images. If no epoch has ended, or its metrics are not here, it is a mean over test
    /// images, and 0 if there are none.
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

/// A grid of points in the plane of two latents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Mosaic {
    /// The point that gives all other latents, and the label.
    #[serde(flatten)]
    pub point: Point,
    /// The latents along the horizontal and the vertical axis.
    pub dims: [usize; 2],
    /// The ranges of the two axes: from the left to the right edge, and from the lower to the upper.
    pub ranges: [[f32; 2]; 2],
}

/// How an uploaded picture is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// The class of the picture, for a conditional model.
    pub label: usize,
    /// Whether dark and light are exchanged.
    pub inverted: bool,
    /// Whether the whole picture is used instead of the region that the run crops.
    pub whole: bool,
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
    /// Whether the image has a light ground and those of the run a dark one, or the other way round.
    pub other_ground: bool,
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
        let test = test_images(&run);
        let [codes, logvar] = match &test {
            Some(test) => posteriors(&run, test, &test.first(MAPPED))?,
            None => [Vec::new(), Vec::new()],
        };
        let epoch = run.history.iter().find(|epoch| epoch.epoch == run.epoch);
        let kl =
            epoch.map_or_else(|| kl_per_dim(&codes, &logvar, model.z_dim), |epoch| epoch.validation.kl_per_dim.clone());
        let ground = ground_of(&run, test.as_ref())?;
        let draws = draws(&run)?;
        Ok(Explorer { run, test, codes, kl, ground, draws })
    }

    /// Describes the model.
    pub fn about(&self) -> About {
        let (predictor, z_dim) = (&self.run.predictor, self.z_dim());
        let kl = |dim: usize| self.kl.get(dim).copied().unwrap_or(0.0);
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
            prior: predictor.prior_words(),
            draws: self.draws.clone(),
            images: self.test.as_ref().map_or(0, Split::count),
            classes: self.run.class_names().to_vec(),
            told: predictor.config.condition_classes(),
            marks: (0..Style::COUNT).map(Style::number).map(Mark::from).collect(),
            ground: self.ground,
            mosaic: MOSAIC,
        }
    }

    /// Decodes a point and returns the image as a PNG.
    ///
    /// # Errors
    /// If the point is not one of this model's latent space, or the device fails.
    pub fn decode(&self, point: &Point) -> Result<Vec<u8>> {
        self.check(point)?;
        self.decoded(&point.z, &[point.label], 1)
    }

    /// Decodes a grid of points and returns the images as one PNG. Each tile is decoded at its centre; the upper right one has the
    /// largest values.
    ///
    /// # Errors
    /// If the point is not one of this model's latent space, the model does not have these latents, a range contains a number
    /// that no latent may have, or the device fails.
    pub fn mosaic(&self, mosaic: &Mosaic) -> Result<Vec<u8>> {
        let Mosaic { point, dims: [across, up], ranges } = mosaic;
        self.check(point)?;
        self.check_dims([*across, *up])?;
        ranges.iter().flatten().try_for_each(|&x| check_latent("a range", x))?;
        let at = |[low, high]: [f32; 2], place: usize| low + (high - low) * (place as f32 + 0.5) / MOSAIC as f32;
        let tile = |place: usize| {
            let mut z = point.z.clone();
            z[*across] = at(ranges[0], place % MOSAIC);
            z[*up] = at(ranges[1], MOSAIC - 1 - place / MOSAIC);
            z
        };
        let z: Vec<f32> = (0..MOSAIC * MOSAIC).flat_map(tile).collect();
        self.decoded(&z, &[point.label; MOSAIC * MOSAIC], MOSAIC)
    }

    /// Encodes a test image.
    ///
    /// # Errors
    /// If there is no such image, it cannot be read, or the device fails.
    pub fn image(&self, place: usize) -> Result<Code> {
        let Some(test) = &self.test else { return Err(Error::config("there are no test images")) };
        match test.count() {
            count if place >= count => {
                Err(Error::config(format!("there is no test image {place}; test images are 0 to {}", count - 1)))
            }
            _ => self.code(test, place, Some(test.label(place))),
        }
    }

    /// Encodes an uploaded JPEG or PNG, which is cropped like the run's own images unless `reading` says otherwise.
    ///
    /// # Errors
    /// If the data is not a JPEG or PNG, damaged, or too large, the label is none of the model's, or the device fails.
    pub fn picture(&self, bytes: &[u8], reading: Reading) -> Result<Code> {
        let Reading { label, inverted, whole } = reading;
        self.check_label(label)?;
        let config = &self.run.predictor.config;
        let (channels, side) = (config.channels(), config.image_size());
        let mut pixels = vec![0; channels * side * side];
        let crop = if whole { Crop::None } else { config.data.crop.unwrap_or(Crop::Centre) };
        picture::from_bytes(bytes, Region::Crop(crop), channels, side, &mut pixels)
            .map_err(|what| Error::config(format!("the picture {what}")))?;
        if inverted {
            pixels.iter_mut().for_each(|byte| *byte = 255 - *byte);
        }
        let split = Split::all(Images::new(pixels, vec![label as u16], channels, [side, side]));
        self.code(&split, 0, Some(label).filter(|_| config.condition_classes() > 0))
    }

    /// Returns the positions of the test images in the plane of two latents.
    ///
    /// # Errors
    /// If the model does not have these two latents.
    pub fn map(&self, dims: [usize; 2]) -> Result<Map> {
        self.check_dims(dims)?;
        let points: Vec<[f32; 2]> = self.codes.chunks_exact(self.z_dim()).map(|mu| dims.map(|dim| mu[dim])).collect();
        let labels = self.test.as_ref().map_or_else(Vec::new, |test| test.labels(&test.first(points.len())));
        Ok(Map { labels, points })
    }

    fn code(&self, split: &Split, place: usize, label: Option<usize>) -> Result<Code> {
        let predictor = &self.run.predictor;
        let [z, _] = posteriors(&self.run, split, &[place])?;
        let pixels = block_on(predictor.to_unit(&predictor.batch(split, &[place])?))?;
        let shape = predictor.transform.shape();
        let grounds = [self.ground, Ground::of(&pixels, shape)];
        let other_ground = grounds[0] != grounds[1] && !grounds.contains(&None);
        let picture = format!("data:image/png;base64,{}", BASE64.encode(tiles(&pixels, shape, 1)));
        Ok(Code { z, label, picture, other_ground })
    }

    /// Decodes checked points to a PNG of images in rows of `columns`.
    fn decoded(&self, z: &[f32], labels: &[usize], columns: usize) -> Result<Vec<u8>> {
        let predictor = &self.run.predictor;
        let z = Tensor::new(z, [labels.len(), self.z_dim()]);
        let pixels = block_on(predictor.decode(&z, labels))?.expect("what has latents decodes them");
        Ok(tiles(&pixels, predictor.transform.shape(), columns))
    }

    fn check(&self, point: &Point) -> Result<()> {
        let z_dim = self.z_dim();
        if point.z.len() != z_dim {
            return Err(Error::config(format!("z has {} numbers, but this model needs {z_dim}", point.z.len())));
        }
        point.z.iter().try_for_each(|&x| check_latent("z", x))?;
        self.check_label(point.label)
    }

    fn check_dims(&self, dims: [usize; 2]) -> Result<()> {
        let z_dim = self.z_dim();
        match dims.iter().find(|&&dim| dim >= z_dim) {
            Some(dim) => Err(Error::config(format!("there is no latent {dim}; latents are 0 to {}", z_dim - 1))),
            None => Ok(()),
        }
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

impl From<Style> for Mark {
    fn from(style: Style) -> Mark {
        Mark { colours: style.colours(), polygons: style.polygons() }
    }
}

fn check_latent(what: &str, x: f32) -> Result<()> {
    match x.abs() <= LARGEST {
        true => Ok(()),
        false => {
            Err(Error::config(format!("{what} contains {x}; its numbers must be between -{LARGEST} and {LARGEST}")))
        }
    }
}

/// The test images of a run, if it has any and they can be read.
fn test_images(run: &LoadedRun) -> Option<Split> {
    Some(run.dataset().ok()?.test.clone()).filter(|test| test.count() > 0)
}

/// The ground of a run's images: of test images, or of images that the model draws, whose ground is that of its training images.
fn ground_of(run: &LoadedRun, test: Option<&Split>) -> Result<Option<Ground>> {
    let predictor = &run.predictor;
    let pixels = match test {
        Some(test) => block_on(predictor.to_unit(&predictor.batch(test, &test.first(GROUNDED))?))?,
        None => block_on(predictor.sample(GROUNDED))?.expect("what has latents decodes them"),
    };
    Ok(Ground::of(&pixels, predictor.transform.shape()))
}

/// Draws from the prior of a run, unless it is N(0, I).
fn draws(run: &LoadedRun) -> Result<Vec<Vec<f32>>> {
    let predictor = &run.predictor;
    if predictor.draws_standard_normal() {
        return Ok(Vec::new());
    }
    let drawn = block_on(predictor.draw(DRAWN, predictor.config.seed))?.expect("a VAE has a prior");
    Ok(drawn.data().chunks_exact(predictor.config.model.z_dim).map(<[f32]>::to_vec).collect())
}

/// Means and logarithms of the variances of the posteriors of images of a split, one image after the other.
fn posteriors(run: &LoadedRun, split: &Split, places: &[usize]) -> Result<[Vec<f32>; 2]> {
    let both = block_on(run.predictor.encode(split, places))?.expect("a VAE has posteriors");
    Ok(both.map(|numbers| numbers.data().to_vec()))
}

/// KL(N(μ, σ²) ‖ N(0, 1)) = ½·(μ² + σ² − ln σ² − 1) of each latent, the mean over images.
fn kl_per_dim(mu: &[f32], logvar: &[f32], z_dim: usize) -> Vec<f64> {
    let images = mu.len() / z_dim;
    let kl = |i: usize| {
        let [mu, logvar] = [mu[i], logvar[i]].map(f64::from);
        0.5 * (mu * mu + logvar.exp() - logvar - 1.0)
    };
    let of = |dim: usize| (0..images).map(|image| kl(image * z_dim + dim)).sum::<f64>() / images as f64;
    if images > 0 { (0..z_dim).map(of).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests;
