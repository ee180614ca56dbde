//! `features`: what the network sees of a test image at every stage (`learn::stages`), four of its maps each.

use pollster::block_on;

use super::latents::class;
use super::{Drawing, check_place, not_for};
use crate::error::Result;
use crate::figure;
use crate::learn::stages;
use crate::trained::Trained;

/// Draws it for the test image in this place.
///
/// # Errors
/// If the model has no maps, there is no such image, or the device fails.
pub fn draw(run: &Trained, place: usize) -> Result<Drawing> {
    check_place(run, "--image", place)?;
    let trainer = &run.trainer;
    let test = &trainer.dataset.test;
    let image = trainer.dataset.batch(test, &[place])?;
    let stages = block_on(stages(&*trainer.model, &image.upload(trainer.device()), test.label(place)))?;
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else {
        return Err(not_for(trainer, "features", "has no maps to show"));
    };
    let title = format!("{}: four maps of each stage, test image {place}", run.title());
    let pixels = block_on(trainer.unit(&image))?;
    let shape = trainer.dataset.transform.shape();
    let png = figure::features(&title, &pixels, shape, &stages, trainer.config.seed);
    let alt = format!(
        "Test image {place} ({}) and four maps at each of {} stages, from {} of {} maps to {} of {}.",
        class(run, test.label(place)),
        stages.len(),
        first.name,
        first.shape[0],
        last.name,
        last.shape[0]
    );
    Ok(Drawing::picture("features", title, alt, png))
}
