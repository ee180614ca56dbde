//! `noise`: how well the model removes noise. Test images with Gaussian noise, clamp(x + σ·ε, 0, 1) for pixels in [0, 1], are
//! above their reconstructions from z = μ. Each row has its mean squared error to the clean images, over the first 256 test
//! images.

use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_core::image_quality::similarity::mse;
use vae_core::random::Purpose;
use vae_run::LoadedRun;

use super::{Drawing, Stream, first_places, not_for};
use crate::figure::{Row, format_value, grid};

const DEVIATIONS: [f32; 5] = [0.0, 0.1, 0.2, 0.4, 0.8];
const COLUMNS: usize = 12;
/// The number of images that the errors are averaged over.
const MEASURED: usize = 256;

/// Draws the figure.
///
/// # Errors
/// If the model does not decode images, there are no test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    let places = first_places(run, MEASURED)?;
    let images = predictor.batch(test, &places)?;
    let clean = block_on(predictor.to_unit(&images))?;
    let noise = Purpose::Figures.stream(predictor.config.seed, Stream::Noise as u64).normal_tensor(*images.shape());
    let shape = predictor.transform.shape();
    let ranges: Vec<[f32; 2]> = (0..shape[0]).map(|channel| predictor.transform.range(channel)).collect();
    let shown = COLUMNS.min(places.len()) * shape.iter().product::<usize>();

    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    let mut errors = Vec::new();
    for deviation in DEVIATIONS {
        let noisy = noisy(&images, &noise, &ranges, deviation);
        let seen = block_on(predictor.to_unit(&noisy))?;
        let back = block_on(predictor.reconstruction(test, &places, &noisy))?;
        let back = back.ok_or_else(|| not_for(predictor, "noise", "does not reconstruct images"))?;
        let [before, after] = [&seen, &back].map(|pixels| format_value(mse(pixels, &clean)));
        rows.push((format!("σ = {deviation}, MSE {before}"), seen[..shown].to_vec()));
        rows.push((format!("decoded, MSE {after}"), back[..shown].to_vec()));
        errors.push(format!("{after} at σ = {deviation}"));
    }
    let drawn: Vec<Row> = rows.iter().map(|(name, pixels)| Row { name, pixels }).collect();
    let title = format!(
        "{}: noisy test images above their reconstructions; MSE of a pixel in [0, 1] against the clean images, {} of them",
        run.title(),
        places.len()
    );
    let tiles = grid(&title, &drawn, shape, 2);
    let alt = format!(
        "Test images under Gaussian noise, each above its reconstruction, whose mean squared error against the clean image is {}.",
        errors.join(", ")
    );
    Ok(Drawing::picture("noise", title, alt, tiles))
}

/// Adds noise of this standard deviation to images as the model sees them. `ranges` has the values of black and of full
/// intensity for each channel.
fn noisy(images: &Tensor, noise: &Tensor, ranges: &[[f32; 2]], deviation: f32) -> Tensor {
    let mut noisy = images.clone();
    let plane = images.count() / images.shape()[0] / ranges.len();
    let planes = noisy.data_mut().chunks_exact_mut(plane).zip(noise.data().chunks_exact(plane));
    for ((pixels, noise), [black, full]) in planes.zip(ranges.iter().cycle()) {
        let sigma = deviation * (full - black);
        pixels.iter_mut().zip(noise).for_each(|(x, n)| *x = (*x + sigma * n).clamp(*black, *full));
    }
    noisy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_scaled_to_the_range_of_its_channel_and_clamped() {
        let images = Tensor::new(&[0.0, 1.0, -1.0, 3.0], [1, 2, 1, 2]);
        let noise = Tensor::new(&[1.0, 1.0, 1.0, -0.5], [1, 2, 1, 2]);
        let noisy = noisy(&images, &noise, &[[0.0, 1.0], [-1.0, 3.0]], 0.5);
        assert_eq!(noisy.data(), [0.5, 1.0, 1.0, 2.0]);
    }
}
