//! `interpolation`: ten steps t = 0 … 1 from the posterior mean a of one test image to the posterior mean b of another, by two
//! paths:
//!
//! ```text
//! linear     z = (1 − t)·a + t·b
//! spherical  z = sin((1 − t)ω)/sin ω · a + sin(tω)/sin ω · b,  ω the angle between a and b   (Shoemake 1985)
//! ```
//!
//! In many dimensions, draws of the prior have nearly the same length. The spherical path keeps that length (White 2016). If a
//! and b are on one line through 0, it is the linear path. The two test images are at the ends of each row.

use pollster::block_on;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::latents::{changes, class, decode, means};
use super::{Drawing, check_place};
use crate::figure::{self, Row, grid_of_columns};

const STEPS: usize = 10;
/// The number of pairs if none are given.
const PAIRS: usize = 4;

/// Draws interpolations between test images. `a` and `b` are their indices; the first of `a` is paired with the first of `b`
/// and so on. If both are empty, each of the first images is paired with the next image of another class.
///
/// # Errors
/// If the model has no latents, an index is out of range, or the device fails.
pub fn draw(run: &LoadedRun, a: &[usize], b: &[usize]) -> Result<Drawing> {
    let (predictor, test) = (&run.predictor, &run.dataset()?.test);
    for (flag, places) in [("--a", a), ("--b", b)] {
        places.iter().try_for_each(|&place| check_place(run, flag, place))?;
    }
    if a.len() != b.len() {
        return Err(Error::config(format!(
            "--a names {} images and --b {}; name the same number for both",
            a.len(),
            b.len()
        )));
    }
    let labels: Vec<usize> = (0..test.count()).map(|place| test.label(place)).collect();
    let pairs: Vec<[usize; 2]> = match a {
        [] => pairs(&labels, PAIRS),
        a => a.iter().zip(b).map(|(&a, &b)| [a, b]).collect(),
    };
    if pairs.is_empty() {
        return Err(Error::config("interpolation: it needs two test images, and there are fewer"));
    }
    let (shape, len) = (predictor.transform.shape(), predictor.transform.shape().iter().product::<usize>());
    let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
    let mut jumps = Vec::new();
    for &[from, to] in &pairs {
        let mu = means(run, "interpolation", &[from, to])?;
        let (a, b) = mu.data().split_at(mu.count() / 2);
        let ends = block_on(predictor.to_unit(&predictor.batch(test, &[from, to])?))?;
        for (name, way) in [("linear", linear as Way), ("spherical", spherical)] {
            let z: Vec<f32> = (0..STEPS).flat_map(|k| way(a, b, k as f32 / (STEPS - 1) as f32)).collect();
            let decoded = decode(run, &z, test.label(from))?;
            jumps.push(changes(&decoded, len).into_iter().fold(0.0, f64::max));
            rows.push((format!("{name} {from} to {to}"), [&ends[..len], &decoded, &ends[len..]].concat()));
        }
    }
    let drawn: Vec<Row> = rows.iter().map(|(name, pixels)| Row { name, pixels }).collect();
    let steps = (0..STEPS).map(|k| format!("{:.2}", k as f64 / (STEPS - 1) as f64));
    let heads: Vec<String> = std::iter::once("image".into()).chain(steps).chain(["image".into()]).collect();
    let told = if predictor.config.condition_classes() > 0 { ", with the label of the first" } else { "" };
    let title = format!("{}: from the mean of one test image, t = 0, to that of another, t = 1{told}", run.title());
    let tiles = grid_of_columns(&title, &heads, &drawn, shape, 2);
    let shown = pairs.iter().map(|&[a, b]| format!("{} to {}", class(run, test.label(a)), class(run, test.label(b))));
    let alt = format!(
        "Decoded images on the way between test images ({}), linearly and spherically in {STEPS} steps; no step changes a \
         pixel by more than {} in root mean square.",
        shown.collect::<Vec<_>>().join(", "),
        figure::format_value(jumps.iter().copied().fold(0.0, f64::max))
    );
    Ok(Drawing::picture("interpolation", title, alt, tiles))
}

type Way = fn(&[f32], &[f32], f32) -> Vec<f32>;

/// Pairs each of the first images with the next one of another label, using no image twice. If all labels are the same,
/// neighbours are paired.
pub(super) fn pairs(labels: &[usize], most: usize) -> Vec<[usize; 2]> {
    let mut free: Vec<usize> = (0..labels.len()).collect();
    let mut pairs = Vec::new();
    while pairs.len() < most && free.len() > 1 {
        let from = free.remove(0);
        let to = free.iter().position(|&place| labels[place] != labels[from]).unwrap_or(0);
        pairs.push([from, free.remove(to)]);
    }
    pairs
}

fn linear(a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| (1.0 - t) * a + t * b).collect()
}

fn spherical(a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let angle = (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).clamp(-1.0, 1.0).acos();
    let sine = angle.sin();
    if sine.is_nan() || sine < 1e-6 {
        return linear(a, b, t); // NaN: one of them is 0
    }
    let [from, to] = [1.0 - f64::from(t), f64::from(t)].map(|part| (part * angle).sin() / sine);
    a.iter().zip(b).map(|(&a, &b)| (from * f64::from(a) + to * f64::from(b)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spherical_path_keeps_the_length_and_halves_the_angle() {
        let (a, b) = ([2.0, 0.0], [0.0, 2.0]);
        let half = std::f32::consts::SQRT_2;
        let near = |z: Vec<f32>, x: [f32; 2]| z.iter().zip(x).all(|(z, x)| (z - x).abs() < 1e-6);
        assert!(near(spherical(&a, &b, 0.5), [half, half]));
        assert!(near(spherical(&a, &b, 1.0 / 3.0), [2.0 * (30.0_f32).to_radians().cos(), 1.0]));
        assert!(near(linear(&a, &b, 0.5), [1.0, 1.0]));
        for way in [linear, spherical] {
            assert!(near(way(&a, &b, 0.0), a) && near(way(&a, &b, 1.0), b));
            assert!(near(way(&a, &[4.0, 0.0], 0.25), [2.5, 0.0]), "one line");
            assert!(near(way(&[0.0; 2], &b, 0.5), [0.0, 1.0]), "no direction");
            assert!(near(way(&a, &[-2.0, 0.0], 0.75), [-1.0, 0.0]), "opposite");
        }
    }

    #[test]
    fn pairs_have_different_labels_if_possible() {
        assert_eq!(pairs(&[7, 7, 2, 7, 1, 0], 9), [[0, 2], [1, 4], [3, 5]]);
        assert_eq!(pairs(&[0, 0, 0], 9), [[0, 1]]);
        assert_eq!(pairs(&[1], 9), [[0; 2]; 0]);
    }
}
