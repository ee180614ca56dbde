//! The codes of a model whose latents are discrete (`vq`, `fsq`): encoding to them, decoding them, and drawing them.

use autograd::no_grad;
use tensor::Tensor;

use crate::data::Split;
use crate::error::Result;
use crate::predict::Predictor;
use crate::random::Purpose;

/// Every `async` method waits for the device. Its error is that of the device, or of an image that cannot be read.
impl Predictor {
    /// Returns the index of the code at each position of each image, `[places, rows, columns]`, or `None` for a model
    /// without a codebook.
    pub async fn encode_codes(&self, split: &Split, places: &[usize]) -> Result<Option<Tensor>> {
        let side = self.config.code_side();
        let mut codes = Vec::new();
        for places in places.chunks(self.config.train.batch_size) {
            let batch = self.held_out(split, places, &self.batch(split, places)?);
            let Some(indices) = no_grad(|| self.model.encode_codes(&batch)) else { return Ok(None) };
            codes.extend(indices.read().await?);
        }
        Ok(Some(Tensor::new(&codes, [places.len(), side, side])))
    }

    /// Decodes indices of codes, `[count, rows, columns]`, to images, as pixels in [0, 1], image after image. Returns `None`
    /// for a model without a codebook.
    ///
    /// # Panics
    /// If an index is not below the number of codes.
    pub async fn decode_codes(&self, codes: &Tensor) -> Result<Option<Vec<f32>>> {
        let (mut pixels, size, count) = (Vec::new(), self.config.train.batch_size, codes.shape()[0]);
        for first in (0..count).step_by(size) {
            let codes = codes.slice(0, first, size.min(count - first)).upload(self.device());
            let Some(decoded) = no_grad(|| self.model.decode_codes(&codes)) else { return Ok(None) };
            pixels.extend(self.to_pixels(&decoded).await?);
        }
        Ok(Some(pixels))
    }

    /// Draws the codes of `count` images, `[count, rows, columns]`, or returns `None` for a model without a codebook. Each
    /// position gets a code with the probability that this code had at all positions in training, whatever its neighbours
    /// are. A model trained for so short a time that no code was counted uses all codes equally often.
    pub async fn draw_codes(&self, count: usize, seed: u64) -> Result<Option<Tensor>> {
        let Some(counts) = self.model.code_counts() else { return Ok(None) };
        let mut sums: Vec<f64> = Vec::new();
        for count in counts.read().await? {
            sums.push(sums.last().copied().unwrap_or(0.0) + f64::from(count));
        }
        if !sums.last().is_some_and(|&all| all > 0.0) {
            sums = (0..sums.len()).map(|code| (code + 1) as f64).collect();
        }
        let (side, all) = (self.config.code_side(), sums[sums.len() - 1]);
        let mut rng = Purpose::Samples.stream(seed, 0);
        let mut draw = || {
            let threshold = all * f64::from(rng.uniform());
            sums.partition_point(|&sum| sum <= threshold).min(sums.len() - 1) as f32
        };
        let codes: Vec<f32> = (0..count * side * side).map(|_| draw()).collect();
        Ok(Some(Tensor::new(&codes, [count, side, side])))
    }
}

#[cfg(test)]
mod tests {
    use nn::{ForwardContext, Slot};
    use pollster::block_on;
    use tensor::Device;

    use super::*;
    use crate::config::Settings;
    use crate::data::Dataset;
    use crate::learn;

    fn predictor(settings: &[&str]) -> (Predictor, Dataset) {
        let mut all = Settings::default();
        let small = ["data.kind=shapes", "data.images=24", "data.image_size=16", "model.width=2", "train.batch_size=5"];
        small.iter().chain(settings).for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        let dataset = Dataset::built_in(&config).unwrap();
        let model = learn::build(&config);
        (Predictor::new(config, model, dataset.transform.clone(), Device::Cpu), dataset)
    }

    const VQ: [&str; 5] =
        ["model.kind=vq", "model.encoder=basic", "model.widths=4,4", "model.codes=3", "model.code_width=2"];

    /// Sets a buffer of the codebook.
    fn set(predictor: &Predictor, name: &str, numbers: &[f32]) {
        nn::visit(&*predictor.model, |path, slot| {
            if let (true, Slot::Buffer(buffer)) = (path == format!("codebook.{name}"), slot) {
                buffer.set(Tensor::new(numbers, *buffer.value().shape()));
            }
        });
    }

    #[test]
    fn images_are_encoded_to_the_codes_that_reconstruct_them() {
        let (predictor, dataset) = predictor(&VQ);
        let places: Vec<usize> = (0..12).collect();
        let x = predictor.batch(&dataset.train, &places).unwrap();
        let batch = predictor.held_out(&dataset.train, &places, &x);
        predictor.model.forward(&batch, &ForwardContext::train(1, 1)); // unused codes become vectors of the batch
        let codes = block_on(predictor.encode_codes(&dataset.train, &places)).unwrap().unwrap();
        assert_eq!([0, 1, 2].map(|dim| codes.shape()[dim]), [12, 4, 4]);
        assert!(codes.data().iter().any(|&code| code != codes.data()[0]), "all codes are equal");
        let decoded = block_on(predictor.decode_codes(&codes)).unwrap().unwrap();
        let [_, reconstructed] = block_on(predictor.reconstructions(&dataset.train, &places)).unwrap().unwrap();
        assert_eq!(decoded.len(), reconstructed.len());
        assert!(decoded.iter().zip(&reconstructed).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn codes_are_drawn_as_often_as_they_were_used() {
        let (predictor, _) = predictor(&VQ);
        let shares = |count: usize, seed: u64| {
            let codes = block_on(predictor.draw_codes(count, seed)).unwrap().unwrap();
            let of = |code: f32| codes.data().iter().filter(|&&x| x == code).count() as f64;
            [0.0, 1.0, 2.0].map(|code| of(code) / codes.data().len() as f64)
        };
        for (counts, expected) in [([1.0, 0.0, 3.0], [0.25, 0.0, 0.75]), ([0.0; 3], [1.0 / 3.0; 3])] {
            set(&predictor, "counts", &counts);
            let found = shares(2_000, 1);
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01), "{found:?}, expected {expected:?}");
            assert_eq!(found[1] == 0.0, expected[1] == 0.0);
        }
        set(&predictor, "counts", &[1.0, f32::INFINITY, 1.0]); // of a damaged checkpoint
        assert_eq!(shares(10, 1).iter().sum::<f64>(), 1.0, "every code is one of the three");
        set(&predictor, "counts", &[0.0; 3]);
        assert_ne!(shares(10, 1), shares(10, 2));
        assert_eq!(shares(10, 1), shares(10, 1));
    }

    #[test]
    fn a_model_without_a_codebook_has_no_codes() {
        let (predictor, dataset) = predictor(&["model.kind=dense"]);
        assert!(block_on(predictor.encode_codes(&dataset.train, &[0])).unwrap().is_none());
        assert!(block_on(predictor.decode_codes(&Tensor::zeros([1, 1, 1]))).unwrap().is_none());
        assert!(block_on(predictor.draw_codes(1, 1)).unwrap().is_none());
    }
}
