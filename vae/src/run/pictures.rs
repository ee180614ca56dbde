//! What a run draws when it ends.

use pollster::block_on;

use super::keeper::Keeper;
use crate::error::Result;
use crate::figure::{Row, grid};
use crate::train::Trainer;

/// `reconstructions.png` and `samples.png`, of what gives images.
pub(super) fn pictures(trainer: &Trainer, keeper: &mut Keeper) -> Result<()> {
    const COLUMNS: usize = 12;
    let shape = trainer.dataset.transform.shape();
    let len = COLUMNS * shape.iter().product::<usize>();
    if let Some([originals, reconstructions]) = block_on(trainer.reconstruct(4 * COLUMNS))? {
        let pairs = originals.chunks(len).zip(reconstructions.chunks(len));
        let back = if trainer.config.model.is_vae() { "from z = μ" } else { "from codes" };
        let pair = |(a, b)| [Row { name: "original", pixels: a }, Row { name: back, pixels: b }];
        let rows: Vec<Row> = pairs.flat_map(pair).collect();
        let words = format!("{}: validation images over their reconstructions", trainer.config.name);
        keeper.file("reconstructions.png", grid(&words, &rows, shape, 2));
    }
    let told = trainer.config.told_classes(); // a row for each label, or eight of any
    let names: Vec<String> = (0..told).map(|label| format!("label {label}")).collect();
    if let Some(samples) = block_on(trainer.sample(if told > 0 { told } else { 8 } * COLUMNS))? {
        let name = |row: usize| names.get(row).map_or("", String::as_str);
        let rows: Vec<Row> =
            samples.chunks(len).enumerate().map(|(row, pixels)| Row { name: name(row), pixels }).collect();
        let words = format!("{}: decoded draws from N(0, I)", trainer.config.name);
        keeper.file("samples.png", grid(&words, &rows, shape, rows.len()));
    }
    Ok(())
}
