//! The correlation between an image and the image whose latents have the opposite sign. With the decoder D and D₀ = D(0):
//!
//! ```text
//! ρ = Σ (D(μ) − D₀)·(D(−μ) − D₀) / √(Σ (D(μ) − D₀)² · Σ (D(−μ) − D₀)²),   summed over pixels and images
//! ```
//!
//! ρ is −1 if every pixel that was brighter than D₀ becomes darker by the same amount (a linear decoder), 1 if the sign
//! of the latents does not matter, and 0 if the two images are unrelated. The pegasus paper negates the latents of
//! birds with dark wings to make the wings white.

use pollster::block_on;
use tensor::Tensor;
use vae_core::Result;
use vae_run::LoadedRun;

use super::{Options, Scores};

/// The name of this score.
pub(super) const NAME: &str = "negation_correlation";

/// The maximum number of images. Each has thousands of pixels, so a few images are enough.
const MAX_IMAGES: usize = 256;

/// Adds the score.
pub(super) fn score(run: &LoadedRun, options: &Options, scores: &mut Scores) -> Result<()> {
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    let places: Vec<usize> = (0..test.count().min(options.images).min(MAX_IMAGES)).collect();
    if places.is_empty() {
        scores.add_missing(NAME, "there are no test images");
        return Ok(());
    }
    let labels: Vec<usize> = places.iter().map(|&place| test.label(place)).collect();
    let reason = "the model has no Gaussian latents whose sign could change";
    let Some([mu, _]) = block_on(predictor.encode(test, &places))? else {
        scores.add_missing(NAME, reason);
        return Ok(());
    };
    let decode = |sign: f32| {
        let numbers: Vec<f32> = mu.data().iter().map(|&x| sign * x).collect();
        block_on(predictor.decode(&Tensor::new(&numbers, [places.len(), predictor.config.model.z_dim]), &labels))
    };
    let [Some(plus), Some(minus), Some(origin)] = [decode(1.0)?, decode(-1.0)?, decode(0.0)?] else {
        scores.add_missing(NAME, reason);
        return Ok(());
    };
    match correlation(&plus, &minus, &origin) {
        Some(rho) => scores.add(NAME, rho, "", format!("{} test images, z = μ and −μ", places.len())),
        None => scores.add_missing(NAME, "every latent decodes to the same image"),
    }
    Ok(())
}

/// Returns ρ of two lists of pixels, or `None` if one list is equal to the origin everywhere.
fn correlation(a: &[f32], b: &[f32], origin: &[f32]) -> Option<f64> {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((&a, &b), &origin) in a.iter().zip(b).zip(origin) {
        let (a, b) = (f64::from(a - origin), f64::from(b - origin));
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    Some(ab / (aa * bb).sqrt()).filter(|rho| rho.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latents::tests::untrained;

    #[test]
    fn opposite_equal_and_unrelated_images_have_known_correlations() {
        let origin = [0.5, 0.5, 0.25, 0.5];
        let image = [0.75, 0.25, 0.5, 0.5];
        let mirror: Vec<f32> = image.iter().zip(&origin).map(|(x, o)| 2.0 * o - x).collect();
        assert_eq!(correlation(&image, &mirror, &origin), Some(-1.0));
        assert_eq!(correlation(&image, &image, &origin), Some(1.0));
        assert_eq!(correlation(&[1.0, 0.5, 0.25, 0.5], &[0.5, 0.0, 0.25, 0.5], &origin), Some(0.0));
        assert_eq!(correlation(&image, &origin, &origin), None);
    }

    #[test]
    fn the_score_is_the_correlation_of_decoded_opposites() {
        let scores = |run: &LoadedRun| {
            let mut scores = Scores { images: 9, ..Scores::default() };
            score(run, &Options { images: 9, extractor: None, inception: None, ..Options::default() }, &mut scores)
                .unwrap();
            scores
        };
        let run = untrained(&["model.output=linear"]);
        let found = scores(&run);
        let [mu, _] =
            block_on(run.predictor.encode(&run.dataset().unwrap().test, &(0..9).collect::<Vec<_>>())).unwrap().unwrap();
        let decode = |z: &Tensor| block_on(run.predictor.decode(z, &[0; 9])).unwrap().unwrap();
        let images = [&mu, &mu.mul_scalar(-1.0), &mu.mul_scalar(0.0)].map(decode);
        let score = found.get(NAME).unwrap();
        assert_eq!(
            (Some(score.value), &*score.of),
            (correlation(&images[0], &images[1], &images[2]), "9 test images, z = μ and −μ")
        );
        assert!(score.value < 0.99, "{}", score.value);
        for (_, param) in nn::parameters(&*run.predictor.model) {
            param.set(Tensor::zeros(param.shape()));
        }
        assert_eq!(scores(&run).missing[0].why, "every latent decodes to the same image");
        let classifier = untrained(&["model.kind=classifier", "model.width=1", "data.image_size=16"]);
        assert!(scores(&classifier).missing[0].why.contains("no Gaussian latents"));
    }
}
