//! `features`: the feature maps of the network for a test image, four maps of every stage (`learn::stages`).

use pollster::block_on;
use vae_core::Result;
use vae_core::learn::stages;
use vae_run::LoadedRun;

use super::latents::class;
use super::{Drawing, check_place, not_for};
use crate::figure;

/// Draws the feature maps for the test image of this index.
///
/// # Errors
/// If the model has no feature maps, there is no such image, or the device fails.
pub fn draw(run: &LoadedRun, place: usize) -> Result<Drawing> {
    check_place(run, "--image", place)?;
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    let image = predictor.batch(test, &[place])?;
    let stages = block_on(stages(&*predictor.model, &image.upload(predictor.device()), test.label(place)))?;
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else {
        return Err(not_for(predictor, "features", "has no feature maps to show"));
    };
    let title = format!("{}: four maps of each stage, test image {place}", run.title());
    let pixels = block_on(predictor.to_unit(&image))?;
    let shape = predictor.transform.shape();
    let tiles = figure::features(&title, &pixels, shape, &stages, predictor.config.seed);
    let alt = format!(
        "Test image {place} ({}) and four maps at each of {} stages, from {} of {} maps to {} of {}.",
        class(run, test.label(place)),
        stages.len(),
        first.name,
        first.shape[0],
        last.name,
        last.shape[0]
    );
    Ok(Drawing::picture("features", title, alt, tiles))
}
