//! Reconstructions and samples of a model during training, for the live page and TensorBoard, and images as a PNG without
//! enlargement.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use pollster::block_on;
use vae_core::train::Trainer;

use crate::figure::mosaic;
use crate::map;

/// The number of validation images that are shown above their reconstructions.
const RECONSTRUCTIONS: usize = 12;
/// The number of samples, in rows of the same length.
const SAMPLES: usize = 24;

/// Reconstructions and samples, pixels in [0, 1].
#[derive(Clone, Debug, Default)]
pub struct Preview {
    shape: [usize; 3],
    /// Validation images, and their reconstructions.
    reconstructions: Option<[Vec<f32>; 2]>,
    samples: Option<Vec<f32>>,
    map: Option<Vec<u8>>,
}

impl Preview {
    /// Reconstructs and samples with the current weights. Errors are ignored here: a device that fails fails again in the next
    /// step, which reports it.
    pub fn at(trainer: &Trainer) -> Preview {
        let (predictor, split) = (trainer.predictor(), &trainer.dataset.validation);
        Preview {
            shape: predictor.transform.shape(),
            reconstructions: block_on(predictor.reconstructions(split, &split.first(RECONSTRUCTIONS))).ok().flatten(),
            samples: block_on(predictor.sample(SAMPLES)).ok().flatten(),
            map: map::fits(&predictor.config).then(|| map::draw(&predictor).ok()).flatten(),
        }
    }

    /// Returns whether the model has given no images.
    pub fn is_empty(&self) -> bool {
        self.reconstructions.is_none() && self.samples.is_none()
    }

    /// Returns validation images above their reconstructions as a PNG.
    pub fn reconstructions(&self) -> Option<Vec<u8>> {
        let [images, reconstructions] = self.reconstructions.as_ref()?;
        let columns = images.len() / self.shape.iter().product::<usize>().max(1);
        Some(tiles(&[&images[..], reconstructions].concat(), self.shape, columns))
    }

    /// Returns samples as a PNG.
    pub fn samples(&self) -> Option<Vec<u8>> {
        Some(tiles(self.samples.as_ref()?, self.shape, RECONSTRUCTIONS))
    }

    /// Returns the map of a model with two latents as a PNG.
    pub fn map(&self) -> Option<Vec<u8>> {
        self.map.clone()
    }
}

/// Returns a PNG of images `[channels, size, size]`, pixels in [0, 1], in rows of `columns`. Each pixel of an image is one
/// pixel of the PNG.
pub fn tiles(pixels: &[f32], shape: [usize; 3], columns: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter);
    mosaic(pixels, shape, columns).write_with_encoder(encoder).expect("writing to memory does not fail");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_above_their_reconstructions() {
        let preview =
            Preview { shape: [1, 2, 2], reconstructions: Some([vec![0.0; 8], vec![1.0; 8]]), ..Preview::default() };
        let picture = image::load_from_memory(&preview.reconstructions().unwrap()).unwrap().into_luma8();
        assert_eq!((picture.dimensions(), picture.into_raw()), ((4, 4), [[0; 8], [255; 8]].concat()));
        assert!(preview.samples().is_none() && !preview.is_empty() && Preview::default().is_empty());
    }

    /// Up to twelve validation images above their reconstructions, and two rows of twelve samples.
    #[test]
    fn a_preview_shows_the_model_of_a_trainer() {
        use vae_core::{config::Settings, data::Dataset, learn};
        let trainer = |settings: &[&str]| {
            let mut all = Settings::default();
            let small = ["data.kind=shapes", "data.images=60", "data.image_size=8"];
            small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
            let config = all.resolve().unwrap();
            let (dataset, model) = (Dataset::built_in(&config).unwrap(), learn::build(&config));
            Trainer::from_learner(config, dataset, model, tensor::Device::Cpu)
        };
        let vae = trainer(&["model.kind=dense", "model.hidden=4"]);
        let (preview, split) = (Preview::at(&vae), &vae.dataset.validation);
        let predictor = vae.predictor();
        let both = block_on(predictor.reconstructions(split, &[0, 1, 2, 3, 4])).unwrap().unwrap().concat();
        assert_eq!((split.count(), preview.reconstructions()), (5, Some(tiles(&both, [1, 8, 8], 5))));
        let samples = block_on(predictor.sample(24)).unwrap().unwrap();
        assert_eq!((preview.samples(), preview.map()), (Some(tiles(&samples, [1, 8, 8], 12)), None));
        let two = trainer(&["model.kind=dense", "model.hidden=4", "model.z_dim=2"]);
        assert_eq!(Preview::at(&two).map(), Some(map::draw(&two.predictor()).unwrap()));
        let classifier = Preview::at(&trainer(&["model.kind=classifier", "model.width=2"]));
        assert!(classifier.is_empty() && classifier.reconstructions().is_none() && classifier.samples().is_none());
    }

    #[test]
    fn images_are_in_rows_and_keep_their_colours() {
        // Three images of 2×2 in two columns: one with a red corner, one all blue, and one of NaN.
        let red = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let blue = [[0.0; 8].as_slice(), &[1.0; 4]].concat();
        let bytes = tiles(&[&red[..], &blue, &[f32::NAN; 12]].concat(), [3, 2, 2], 2);
        let picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
        assert_eq!((picture.width(), picture.height()), (4, 4));
        let places = [(0, 0), (1, 0), (0, 1), (2, 0), (3, 1), (0, 2), (3, 3)];
        let found = places.map(|(x, y)| picture.get_pixel(x, y).0);
        assert_eq!(found, [[255, 0, 0], [0; 3], [0; 3], [0, 0, 255], [0, 0, 255], [0; 3], [0; 3]]);
        let grey = image::load_from_memory(&tiles(&[0.5], [1, 1, 1], 1)).unwrap().into_rgb8();
        assert_eq!(grey.get_pixel(0, 0).0, [128; 3]);
    }
}
