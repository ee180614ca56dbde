//! `reconstructions`: validation images above x̂ = decoder(μ(x)), with one row for each run.

use pollster::block_on;
use vae_core::data::Split;
use vae_core::image_quality::similarity::mse;
use vae_core::predict::Predictor;
use vae_core::{Error, Result};

use super::{Drawing, not_for};
use crate::figure::{Row, format_value, grid};

/// The default number of images.
pub const COUNT: usize = 48;
const COLUMNS: usize = 12;

/// Draws the first `count` images of `split` and their reconstructions by a model and by `others`, each under its name.
///
/// # Errors
/// If a model does not reconstruct images or takes images of another shape, or the device fails.
pub fn draw(
    title: &str,
    predictor: &Predictor,
    split: &Split,
    others: &[(String, &Predictor)],
    count: usize,
) -> Result<Drawing> {
    let shape = predictor.transform.shape();
    let places = split.first(count);
    let originals = block_on(predictor.to_unit(&predictor.batch(split, &places)?))?;
    let own = if predictor.config.model.is_vae() { "from z = μ" } else { "from codes" };
    let own = if others.is_empty() { own.to_owned() } else { title.to_owned() };
    let mut all = vec![("original".to_owned(), originals)];
    for (name, other) in [(own, predictor)].iter().chain(others) {
        let there = other.transform.shape();
        if there != shape || other.config.condition_classes() > predictor.config.classes() {
            let words = |[c, h, w]: [usize; 3]| format!("{c}×{h}×{w}");
            return Err(Error::config(format!(
                "--with {name}: it was trained on other images ({} of {}, not {} of {})",
                words(there),
                other.config.data.kind,
                words(shape),
                predictor.config.data.kind
            )));
        }
        let images = other.batch(split, &places)?;
        let pixels = block_on(other.reconstruction(split, &places, &images))?;
        let pixels = pixels.ok_or_else(|| not_for(other, "reconstructions", "does not reconstruct images"))?;
        all.push((name.clone(), pixels));
    }
    let errors = all[1..].iter().map(|(name, pixels)| {
        let error = format_value(mse(pixels, &all[0].1));
        if others.is_empty() { error } else { format!("{error} ({name})") }
    });
    let alt = format!(
        "{} validation images, each above its reconstruction; the mean squared error of a pixel in [0, 1] is {}.",
        places.len(),
        errors.collect::<Vec<_>>().join(", ")
    );
    let len = COLUMNS * shape.iter().product::<usize>();
    let lines =
        (0..places.len().div_ceil(COLUMNS)).flat_map(|line| all.iter().map(move |(name, pixels)| (line, name, pixels)));
    let rows: Vec<Row> = lines
        .map(|(line, name, pixels)| Row { name, pixels: &pixels[line * len..pixels.len().min((line + 1) * len)] })
        .collect();
    let (name, whose) =
        if others.is_empty() { ("reconstructions", title) } else { ("reconstructions-compared", "several runs") };
    let title = format!("{whose}: validation images above their reconstructions");
    let tiles = grid(&title, &rows, shape, all.len());
    Ok(Drawing::picture(name, title, alt, tiles))
}
