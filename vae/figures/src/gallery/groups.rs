//! `groups`: what each group of latents of a hierarchical model decides. From the posterior means a of one test image to the means b
//! of another, one group moves and the others stay:
//!
//! ```text
//! x̂(g, t) = decoder(z),  z_g = (1 − t)·a_g + t·b_g,  z_i = a_i in all other groups;  in the last row, all groups move
//! ```
//!
//! Groups are drawn one after the other, and a group is what it adds to the groups before it (`vae_core::model::Ladder`).

use std::ops::Range;

use vae_core::image_quality::similarity::mse;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::interpolation::pairs;
use super::latents::{class, decode, means};
use super::{Drawing, not_for};
use crate::figure::{self, Row, grid_of_columns};

const STEPS: usize = 8;

/// Draws the ways of the first test image that has a neighbour of another class.
///
/// # Errors
/// If the model has fewer than two groups of latents, there are no two test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let predictor = &run.predictor;
    let groups = predictor.config.latent_groups();
    if groups.len() < 2 {
        return Err(not_for(predictor, "groups", "has no groups of latents"));
    }
    let test = &run.dataset()?.test;
    let labels: Vec<usize> = (0..test.count()).map(|place| test.label(place)).collect();
    let Some(&[from, to]) = pairs(&labels, 1).first() else {
        return Err(Error::config("groups: it needs two test images, and there are fewer"));
    };
    let mu = means(run, "groups", &[from, to])?;
    let (a, b) = mu.data().split_at(mu.count() / 2);
    let mut first = 0;
    let ranges: Vec<Range<usize>> = groups
        .iter()
        .map(|shape| {
            let range = first..first + shape.iter().product::<usize>();
            first = range.end;
            range
        })
        .chain(std::iter::once(0..a.len()))
        .collect();
    let z: Vec<f32> = ranges.iter().flat_map(|range| path(a, b, range.clone())).flatten().collect();
    let (pixels, shape) = (decode(run, &z, labels[from])?, predictor.transform.shape());
    let len = shape.iter().product::<usize>();
    let names: Vec<String> = groups
        .iter()
        .zip(1..)
        .map(|([channels, height, width], i)| format!("group {i}: {channels}×{height}×{width}"))
        .chain(["all groups".into()])
        .collect();
    let rows: Vec<&[f32]> = pixels.chunks_exact(STEPS * len).collect();
    let drawn: Vec<Row> = names.iter().zip(&rows).map(|(name, pixels)| Row { name, pixels }).collect();
    let heads: Vec<String> = (0..STEPS).map(|k| format!("{:.2}", part(k))).collect();
    let title =
        format!("{}: one group at a time from the mean of one test image, t = 0, to that of another", run.title());
    let tiles = grid_of_columns(&title, &heads, &drawn, shape, 1);
    let changes = names.iter().zip(&rows).map(|(name, row)| {
        format!("{name} {}", figure::format_value(mse(&row[..len], &row[row.len() - len..]).sqrt()))
    });
    let alt = format!(
        "Decoded images on the way from {} to {}, for each group of latents alone and for all; from end to end a pixel changes in \
         root mean square by: {}.",
        class(run, labels[from]),
        class(run, labels[to]),
        changes.collect::<Vec<_>>().join(", ")
    );
    Ok(Drawing::picture("groups", title, alt, tiles))
}

/// The part of the way at step `k`.
fn part(k: usize) -> f32 {
    k as f32 / (STEPS - 1) as f32
}

/// The latents on the way from `a` to `b` in this range, and those of `a` elsewhere.
fn path(a: &[f32], b: &[f32], range: Range<usize>) -> impl Iterator<Item = Vec<f32>> {
    (0..STEPS).map(move |k| {
        let mut z = a.to_vec();
        for i in range.clone() {
            z[i] = (1.0 - part(k)) * a[i] + part(k) * b[i];
        }
        z
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_moves_and_the_others_stay() {
        let rows: Vec<Vec<f32>> = path(&[1.0, 2.0, 3.0], &[8.0, 9.0, 10.0], 1..2).collect();
        assert_eq!(rows.len(), 8);
        assert_eq!([&rows[0][..], &rows[3], &rows[7]], [&[1.0, 2.0, 3.0], &[1.0, 5.0, 3.0], &[1.0, 9.0, 3.0]]);
    }
}
