//! `scatter`: test images at their posterior means μ(x), in the plane of two latents, coloured by class.

use vae_core::Result;
use vae_run::LoadedRun;

use super::latents::{by_kl, class, means, two};
use super::{Drawing, first_places};
use crate::figure::{Axis, Kind, Panel, Plot, Series, Style};

/// The largest number of images.
pub(super) const MOST: usize = 2_000;
const SIZE: [u32; 2] = [860, 720];

/// Draws the images in the plane of the latents `dims`, or else of the two with the highest KL.
///
/// # Errors
/// If the model has fewer than two latents, there is no test image, or the device fails.
pub fn draw(run: &LoadedRun, dims: Option<[usize; 2]>) -> Result<Drawing> {
    let [a, b] = two(run, "scatter", dims)?;
    let places = first_places(run, MOST)?;
    let mu = means(run, "scatter", &places)?;
    let rows = mu.data().chunks_exact(run.predictor.config.model.z_dim);
    let points: Vec<[f64; 2]> = rows.map(|mu| [f64::from(mu[a]), f64::from(mu[b])]).collect();
    let kl = by_kl(run, "scatter")?;
    let label = |dim: usize| {
        let of = kl.iter().find(|(known, _)| *known == dim).map_or(0.0, |(_, kl)| *kl);
        format!("mean of latent {dim} (KL {of:.2} nats)")
    };
    let title = format!("{}: means of {} test images", run.title(), points.len());
    let labels = run.dataset()?.test.labels(&places);
    let plot = coloured(run, title, [&label(a), &label(b)], &points, &labels);
    let alt = format!(
        "{} test images at their means in latents {a} and {b}, coloured by label; {}.",
        points.len(),
        agreement_words(&points, &labels)
    );
    Ok(Drawing::plot("scatter", &plot, alt))
}

/// A plot of points with one series per label, in the order of the labels.
pub(super) fn coloured(run: &LoadedRun, title: String, axes: [&str; 2], points: &[[f64; 2]], labels: &[usize]) -> Plot {
    let series = by_label(points, labels).into_iter().map(|(label, points)| {
        let style = Style::number(label);
        Series { name: class(run, label), kind: Kind::Points, style, points }
    });
    let [x, y] = [0, 1].map(|k| Axis::around(axes[k], points.iter().map(|point| point[k])));
    let panel = Panel { heading: String::new(), x, y, series: series.collect() };
    Plot { title, columns: 1, size: SIZE, panels: vec![panel] }
}

/// The points of each label that occurs.
fn by_label(points: &[[f64; 2]], labels: &[usize]) -> Vec<(usize, Vec<[f64; 2]>)> {
    let mut known = labels.to_vec();
    known.sort_unstable();
    known.dedup();
    let of = |label| points.iter().zip(labels).filter(|(_, l)| **l == label).map(|(point, _)| *point).collect();
    known.into_iter().map(|label| (label, of(label))).collect()
}

/// A sentence that says how many points have a nearest neighbour of their own label.
pub(super) fn agreement_words(points: &[[f64; 2]], labels: &[usize]) -> String {
    format!("for {:.0} % of them the nearest neighbour has the same label", 100.0 * agreement(points, labels))
}

/// The proportion of points whose nearest neighbour has their own label.
fn agreement(points: &[[f64; 2]], labels: &[usize]) -> f64 {
    let distance = |i: usize, j: usize| (points[i][0] - points[j][0]).powi(2) + (points[i][1] - points[j][1]).powi(2);
    let nearest = |i: usize| {
        let others = (0..points.len()).filter(|&j| j != i);
        others.min_by(|&j, &k| distance(i, j).total_cmp(&distance(i, k)))
    };
    let same = (0..points.len()).filter(|&i| nearest(i).is_some_and(|j| labels[i] == labels[j])).count();
    same as f64 / points.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_grouped_by_label_and_neighbours_compared() {
        let points = [[0.0, 0.0], [5.0, 5.0], [0.1, 0.0], [5.0, 5.2], [0.05, 0.01]];
        let labels = [3, 0, 3, 0, 0];
        let parts = by_label(&points, &labels);
        assert_eq!(parts[1], (3, vec![[0.0, 0.0], [0.1, 0.0]]));
        assert_eq!(parts.iter().map(|(label, _)| *label).collect::<Vec<_>>(), [0, 3]);
        // The fifth point is between the two of label 3, so these two and it have no neighbour of their own label.
        assert_eq!(agreement(&points, &labels), 0.4);
        assert_eq!(agreement(&points[..1], &labels[..1]), 0.0);
    }
}
