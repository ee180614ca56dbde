//! `samples`: decoder(z) of z ~ N(0, I), or of draws from the model's own prior or a fitted one. A conditional model has one row per label,
//! for the first 20 labels.

use pollster::block_on;
use vae_core::Result;
use vae_core::predict::Predictor;

use super::{Drawing, not_for};
use crate::figure::{Row, format_value, grid};

const COLUMNS: usize = 12;
const ROWS: usize = 8;
const MOST_LABELS: usize = 20;

/// Draws the figure.
///
/// # Errors
/// If the model cannot generate images, or the device fails.
pub fn draw(title: &str, predictor: &Predictor, class_names: &[String]) -> Result<Drawing> {
    let shape = predictor.transform.shape();
    let len = COLUMNS * shape.iter().product::<usize>();
    let classes = predictor.config.condition_classes();
    let name = |label: usize| class_names.get(label).cloned().unwrap_or_else(|| format!("label {label}"));
    let names: Vec<String> = (0..classes.min(MOST_LABELS)).map(name).collect();
    let count = if classes > 0 { names.len() } else { ROWS } * COLUMNS;
    let labels: Vec<usize> = (0..count).map(|i| if classes > 0 { i / COLUMNS } else { 0 }).collect();
    let sampled = async {
        match predictor.draw(count, predictor.config.seed).await? {
            Some(drawn) => predictor.decode_drawn(&drawn, &labels).await,
            None => Ok(None),
        }
    };
    let pixels = block_on(sampled)?.ok_or_else(|| {
        not_for(predictor, "samples", "cannot draw samples before a prior is fitted to its latents by vae fit-prior")
    })?;
    let name = |row: usize| names.get(row).map_or("", String::as_str);
    let rows = pixels.chunks(len).enumerate().map(|(row, pixels)| Row { name: name(row), pixels });
    let rows: Vec<Row> = rows.collect();
    let title = format!("{title}: random draws from {}, decoded", predictor.prior_words());
    let each = match classes {
        0 => String::new(),
        1..=MOST_LABELS => format!(", {COLUMNS} of each label"),
        _ => format!(", {COLUMNS} of each of the first {MOST_LABELS} labels of {classes}"),
    };
    let mean = pixels.iter().map(|&x| f64::from(x)).sum::<f64>() / pixels.len() as f64;
    let alt = format!(
        "{count} images decoded from random draws of the prior{each}; their mean pixel, 0 black to 1 full, is {}.",
        format_value(mean)
    );
    let tiles = grid(&title, &rows, shape, rows.len());
    Ok(Drawing::picture("samples", title, alt, tiles))
}
