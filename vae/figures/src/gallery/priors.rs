//! `priors`: test images, and below them samples of each prior of the run in one row: that of the model, and those that
//! `vae fit-prior` fitted.

use pollster::block_on;
use vae_core::Result;
use vae_core::config::PriorKind;
use vae_run::LoadedRun;

use super::{Drawing, first_places, not_for};
use crate::figure::{Row, grid};

const COLUMNS: usize = 12;

/// Draws the figure.
///
/// # Errors
/// If there are no two priors to compare, there are no test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let (predictor, kinds) = (&run.predictor, run.priors());
    if kinds.len() < 2 {
        return Err(not_for(
            predictor,
            "priors",
            "has no other prior to compare its own with; fit one with vae fit-prior",
        ));
    }
    let places = first_places(run, COLUMNS)?;
    let images = predictor.batch(&run.dataset()?.test, &places)?;
    let mut rows = vec![("test images".to_owned(), block_on(predictor.to_unit(&images))?)];
    for kind in kinds {
        rows.push(row(run, kind)?);
    }
    let title = format!("{}: samples by prior", run.title());
    let names = rows[1..].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let alt = format!("{} test images, and {COLUMNS} samples of each prior in a row: {names}.", places.len());
    let rows: Vec<Row> = rows.iter().map(|(name, pixels)| Row { name, pixels }).collect();
    let tiles = grid(&title, &rows, predictor.transform.shape(), rows.len());
    Ok(Drawing::picture("priors", title, alt, tiles))
}

/// Returns the name of a prior and its samples.
fn row(run: &LoadedRun, kind: PriorKind) -> Result<(String, Vec<f32>)> {
    let predictor = &run.predictor;
    let (seed, classes) = (predictor.config.seed, predictor.config.condition_classes());
    let labels: Vec<usize> = (0..COLUMNS).map(|i| i * classes / COLUMNS).collect();
    let prior = run.load_prior(kind)?;
    let (name, drawn) = match (kind, block_on(predictor.draw_from(prior.as_deref(), COLUMNS, seed))?) {
        (PriorKind::Standard, Some(drawn)) => {
            (predictor.model.prior().map_or("N(0, I)".into(), |prior| prior.words()), drawn)
        }
        (kind, Some(drawn)) => (kind.to_string(), drawn),
        (_, None) => {
            let drawn =
                block_on(predictor.draw_codes(COLUMNS, seed))?.expect("what is not drawn from a prior has codes");
            ("independent codes".into(), drawn)
        }
    };
    let pixels = block_on(predictor.decode_drawn(&drawn, &labels))?;
    Ok((name, pixels.expect("a model with latents decodes them")))
}
