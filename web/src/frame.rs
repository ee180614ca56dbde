//! What the page draws while a model trains: the map of the latents, decoded images, reconstructions and feature maps. Pixels are
//! bytes from 0 to 255.

use tensor::Tensor;
use vae_core::Result;
use vae_core::data::{Images, Split};
use vae_core::learn::{Stage, stages};

use crate::laboratory::Laboratory;

/// What the page wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The number of test images on the map.
    pub map: usize,
    /// The latents along the two axes of the map.
    pub dims: [usize; 2],
    /// The decoded images in a row and in a column behind the map; 0 for none.
    pub mosaic: usize,
    /// The ranges of the two axes: left and right, low and high.
    pub range: [[f32; 2]; 2],
    /// The values of the other latents. Missing ones are 0.
    pub z: Vec<f32>,
    /// The number of test images that are reconstructed.
    pub reconstructions: usize,
    /// The test image whose feature maps are shown.
    pub features: Option<usize>,
}

/// What there is to draw.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The means of the posteriors in the two latents, one image after the other.
    pub points: Vec<f32>,
    /// The labels of these images.
    pub labels: Vec<u8>,
    /// The KL of each latent in nats, the mean over the images of the map.
    pub kl: Vec<f32>,
    /// Decoded points of the plane as one image, with the highest value of the second latent in the first row of tiles.
    pub mosaic: Vec<u8>,
    /// Test images, and their reconstructions from z = mu.
    pub reconstructions: [Vec<u8>; 2],
    /// The feature maps of an image.
    pub features: Option<Features>,
}

/// An image on its way through the network.
#[derive(Clone, Debug)]
pub struct Features {
    /// The image.
    pub image: Encoded,
    /// The output of each stage of encoder and decoder.
    pub stages: Vec<Maps>,
}

/// The feature maps of a stage.
#[derive(Clone, Debug)]
pub struct Maps {
    /// The name of the stage in the model.
    pub name: String,
    /// Channels, rows, columns.
    pub shape: [usize; 3],
    /// The maps, each scaled to 0…255.
    pub maps: Vec<u8>,
}

/// An image and what the model makes of it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The pixels.
    pub pixels: Vec<u8>,
    /// The label.
    pub label: usize,
    /// The mean of the posterior.
    pub mu: Vec<f32>,
    /// The logarithm of the variance of the posterior.
    pub logvar: Vec<f32>,
    /// What the decoder makes of the mean.
    pub reconstruction: Vec<u8>,
}

/// Pixels from 0 to 1 as bytes.
pub(crate) fn bytes(pixels: &[f32]) -> Vec<u8> {
    pixels.iter().map(|pixel| (pixel * 255.0).round().clamp(0.0, 255.0) as u8).collect()
}

/// KL(N(mu, σ²) ‖ N(0, 1)) = ½·(mu² + σ² − ln σ² − 1) in nats.
pub(crate) fn kl(mu: f32, logvar: f32) -> f32 {
    0.5 * (mu * mu + logvar.exp() - logvar - 1.0)
}

impl Laboratory {
    /// Computes what the page wants to see.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn frame(&self, watch: &Watch) -> Result<Frame> {
        let test = &self.trainer.dataset.test;
        let mut frame = Frame::default();
        if watch.map > 0 {
            let places = test.first(watch.map);
            let [mu, logvar] = self.encode_places(test, &places).await?;
            let latents = self.latents();
            let dims = watch.dims.map(|dim| dim.min(latents - 1));
            frame.points = mu.chunks_exact(latents).flat_map(|mu| dims.map(|dim| mu[dim])).collect();
            frame.labels = test.labels(&places).into_iter().map(|label| label.min(255) as u8).collect();
            frame.kl = mean_kl(&mu, &logvar, latents);
        }
        if watch.mosaic > 0 {
            frame.mosaic = self.mosaic(watch).await?;
        }
        let places = test.first(watch.reconstructions);
        if let Some(both) =
            self.trainer.predictor().reconstructions(test, &places).await?.filter(|_| !places.is_empty())
        {
            frame.reconstructions = both.map(|pixels| bytes(&pixels));
        }
        if let Some(place) = watch.features {
            let place = place.min(test.count().saturating_sub(1));
            let (predictor, label) = (self.trainer.predictor(), test.label(place));
            let image = predictor.batch(test, &[place])?.upload(predictor.device());
            let stages = stages(&*predictor.model, &image, label).await?;
            let image = self.encoded(test, place).await?;
            frame.features = Some(Features { image, stages: stages.iter().map(Maps::new).collect() });
        }
        Ok(frame)
    }

    /// Decoded points of the plane of two latents.
    async fn mosaic(&self, watch: &Watch) -> Result<Vec<u8>> {
        let (tiles, latents) = (watch.mosaic, self.latents());
        let at = |[low, high]: [f32; 2], place: usize| low + (high - low) * (place as f32 + 0.5) / tiles as f32;
        let mut all = Vec::with_capacity(tiles * tiles * latents);
        for place in 0..tiles * tiles {
            let mut z = watch.z.clone();
            z.resize(latents, 0.0);
            z[watch.dims[0].min(latents - 1)] = at(watch.range[0], place % tiles);
            if latents > 1 {
                z[watch.dims[1].min(latents - 1)] = at(watch.range[1], tiles - 1 - place / tiles);
            }
            all.extend(z);
        }
        let decoded = self.decode(&all, 0).await?;
        let [channels, height, width] = self.trainer.dataset.transform.shape();
        let mut image = vec![0; decoded.len()];
        for (place, tile) in decoded.chunks_exact(channels * height * width).enumerate() {
            for (row, pixels) in tile.chunks_exact(width).enumerate() {
                let (channel, y) = (row / height, place / tiles * height + row % height);
                let from = ((channel * tiles * height + y) * tiles + place % tiles) * width;
                image[from..from + width].copy_from_slice(pixels);
            }
        }
        Ok(image)
    }

    /// Decodes latents, one point after the other. A conditional model decodes them to images with this label.
    ///
    /// # Errors
    /// If the numbers are not whole points, or the device fails.
    pub async fn decode(&self, z: &[f32], label: usize) -> Result<Vec<u8>> {
        let latents = self.latents();
        if z.is_empty() || !z.len().is_multiple_of(latents) {
            let what = format!("{} numbers are no points of {latents} latents", z.len());
            return Err(vae_core::Error::config(what));
        }
        let count = z.len() / latents;
        let classes = self.trainer.config().condition_classes();
        let labels = vec![label.min(classes.saturating_sub(1)); count];
        let pixels = self.trainer.predictor().decode(&Tensor::new(z, [count, latents]), &labels).await?;
        Ok(bytes(&pixels.expect("a VAE decodes")))
    }

    /// Encodes pixels from 0 to 1, an image of the model's shape.
    ///
    /// # Errors
    /// If there are not as many pixels, or the device fails.
    pub async fn encode(&self, pixels: &[f32], label: usize) -> Result<Encoded> {
        let [channels, height, width] = self.trainer.dataset.transform.shape();
        if pixels.len() != channels * height * width {
            let what = format!("an image of {channels} × {height} × {width} is needed, and {} came", pixels.len());
            return Err(vae_core::Error::config(what));
        }
        let images = Images::new(bytes(pixels), vec![label as u16], channels, [height, width]);
        self.encoded(&Split::all(images), 0).await
    }

    /// Encodes a test image.
    ///
    /// # Errors
    /// If there is no such image, or the device fails.
    pub async fn picture(&self, place: usize) -> Result<Encoded> {
        let test = &self.trainer.dataset.test;
        match test.count() {
            count if place < count => self.encoded(test, place).await,
            count => Err(vae_core::Error::config(format!("there is no test image {place}; there are {count}"))),
        }
    }

    pub(crate) async fn encoded(&self, split: &Split, place: usize) -> Result<Encoded> {
        let [mu, logvar] = self.encode_places(split, &[place]).await?;
        let predictor = self.trainer.predictor();
        let [pixels, reconstruction] =
            predictor.reconstructions(split, &[place]).await?.expect("a VAE reconstructs").map(|pixels| bytes(&pixels));
        Ok(Encoded { pixels, label: split.label(place), mu, logvar, reconstruction })
    }

    async fn encode_places(&self, split: &Split, places: &[usize]) -> Result<[Vec<f32>; 2]> {
        let posterior = self.trainer.predictor().encode(split, places).await?.expect("a VAE has posteriors");
        Ok(posterior.map(|numbers| numbers.data().to_vec()))
    }

    pub(crate) fn latents(&self) -> usize {
        self.trainer.config().model.z_dim
    }
}

impl Maps {
    pub(crate) fn new(stage: &Stage) -> Maps {
        let [_, rows, columns] = stage.shape;
        let scaled = stage.maps.chunks_exact(rows * columns).flat_map(|map| {
            let [low, high] = [f32::min, f32::max].map(|of| map.iter().copied().reduce(of).unwrap_or(0.0));
            map.iter().map(move |&x| (255.0 * (x - low) / (high - low).max(1e-12)) as u8)
        });
        Maps { name: stage.name.clone(), shape: stage.shape, maps: scaled.collect() }
    }
}

/// The KL of each latent, the mean over images.
fn mean_kl(mu: &[f32], logvar: &[f32], latents: usize) -> Vec<f32> {
    let images = mu.len() / latents;
    let of =
        |latent: usize| (0..images).map(|i| kl(mu[i * latents + latent], logvar[i * latents + latent])).sum::<f32>();
    (0..latents).map(|latent| of(latent) / images as f32).collect()
}
