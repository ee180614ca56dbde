//! `latent-grid`: decoder(z) over a plane of two latents, with all others at 0. The positions divide the prior into equal
//! probabilities:
//!
//! ```text
//! z = Φ⁻¹((i + ½)/15),  i = 0 … 14,  Φ(x) = ½ erfc(−x/√2)
//! ```
//!
//! as in Kingma and Welling (2014, figure 4). The first latent grows to the right, the second upwards.

use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::Drawing;
use super::latents::{changes, decode, label_words, two};
use crate::figure::{self, Row, grid_of_columns};

const SIDE: usize = 15;
/// Newton's steps. Each doubles the correct digits near the solution; ten are enough for every probability above 1e-4.
const QUANTILE_STEPS: usize = 16;

/// Draws the figure. `dims` are the two latents of the plane; a model with exactly two needs none.
///
/// # Errors
/// If the model has no latents or does not have two, a latent of `dims` does not exist, or the device fails.
pub fn draw(run: &LoadedRun, dims: Option<[usize; 2]>) -> Result<Drawing> {
    let [a, b] = two(run, "latent-grid", dims)?;
    let (shape, z_dim) = (run.predictor.transform.shape(), run.predictor.config.model.z_dim);
    if z_dim != 2 && dims.is_none() {
        return Err(Error::config(format!(
            "latent-grid: the model has {z_dim} latents; choose two with --dims, such as {a},{b}"
        )));
    }
    let at: Vec<f64> = (0..SIDE).map(|i| quantile((i as f64 + 0.5) / SIDE as f64)).collect();
    let mut z = vec![0.0; SIDE * SIDE * z_dim];
    for (i, z) in z.chunks_exact_mut(z_dim).enumerate() {
        (z[a], z[b]) = (at[i % SIDE] as f32, at[SIDE - 1 - i / SIDE] as f32);
    }
    let pixels = decode(run, &z, 0)?;
    let len = shape.iter().product::<usize>();
    let names: Vec<String> = at.iter().rev().map(|z| format!("{z:>5.2}")).collect();
    let rows = names.iter().zip(pixels.chunks_exact(SIDE * len)).map(|(name, pixels)| Row { name, pixels });
    let rows: Vec<Row> = rows.collect();
    let heads: Vec<String> = at.iter().map(|z| format!("{z:.2}")).collect();
    let rest = if z_dim > 2 { ", the others at 0" } else { "" };
    let title = format!(
        "{}: latent {a} to the right and latent {b} upwards at quantiles of N(0, 1){rest}{}",
        run.title(),
        label_words(run, 0)
    );
    let tiles = grid_of_columns(&title, &heads, &rows, shape, rows.len());
    let steps: f64 = pixels.chunks_exact(SIDE * len).flat_map(|row| changes(row, len)).sum();
    let alt = format!(
        "{SIDE} by {SIDE} decoded images over latents {a} and {b} at quantiles of the prior, {:.2} to {:.2}; from one to the \
         next along latent {a} a pixel changes by {} in root mean square.",
        at[0],
        at[SIDE - 1],
        figure::format_value(steps / (SIDE * (SIDE - 1)) as f64)
    );
    Ok(Drawing::picture("latent-grid", title, alt, tiles))
}

/// Φ⁻¹: the p-quantile of the standard normal distribution, by Newton's method from the median. Φ is concave above the median
/// and convex below, so the steps approach the solution from one side and never overshoot.
fn quantile(p: f64) -> f64 {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};
    let mut x = 0.0;
    for _ in 0..QUANTILE_STEPS {
        x += (p - 0.5 * libm::erfc(-x * FRAC_1_SQRT_2)) / (libm::exp(-0.5 * x * x) / (2.0 * PI).sqrt());
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_equal_published_values() {
        for (p, x) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (0.841_344_746_068_542_9, 1.0),
            (1.0 / 30.0, -1.833_914_635_815_914),
            (1e-4, -3.719_016_485_455_68),
        ] {
            assert!((quantile(p) - x).abs() < 1e-9, "{p}: {} {x}", quantile(p));
        }
    }
}
