//! `tsne`: the means μ(x) of test images in a plane that keeps who is near whom (van der Maaten and Hinton 2008), coloured by
//! what they show: y minimises KL(P‖Q) for
//!
//! ```text
//! p_j|i ∝ exp(−‖μ_i − μ_j‖²/2σ_i²), of perplexity 30,  p_ij = (p_j|i + p_i|j)/2n,   q_ij ∝ 1/(1 + ‖y_i − y_j‖²)
//! ```
//!
//! bhtsne does the minimising (Barnes and Hut's tree, θ = ½). By itself it begins anywhere, finds neighbours by a tree of random
//! pivots, and adds up in an order that depends on the threads; here it begins at draws of the run's seed, is given the
//! neighbours, and works on one thread, so that a run has one picture.

use bhtsne::{Neighbor, tSNE};
use rayon::prelude::*;
use vae_core::random::Purpose;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::latents::means;
use super::scatter::{MOST, agreement_words, coloured};
use super::{Drawing, first_places};

const PERPLEXITY: f64 = 30.0;
/// Neighbours that each point attracts: as usual three times the perplexity.
const NEIGHBOURS: usize = 90;
const STEPS: usize = 750;

/// Draws it.
///
/// # Errors
/// If the model has no latents, there are too few test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let places = first_places(run, MOST)?;
    let mu = means(run, "tsne", &places)?;
    let least = 2 * NEIGHBOURS;
    if places.len() < least {
        return Err(Error::config(format!(
            "tsne: there are {} test images, and it takes {least} at least",
            places.len()
        )));
    }
    let rows: Vec<&[f32]> = mu.data().chunks_exact(run.predictor.config.model.z_dim).collect();
    let points = embed(&rows, run.predictor.config.seed)?;
    let labels = run.dataset.test.labels(&places);
    let title = format!("{}: t-SNE of the means of {} test images, perplexity {PERPLEXITY}", run.title(), points.len());
    let axes = ["first coordinate (no unit)", "second coordinate (no unit)"];
    let plot = coloured(run, title, axes, &points, &labels);
    let alt = format!(
        "{} test images in the plane by t-SNE of their means, coloured by label; {}.",
        points.len(),
        agreement_words(&points, &labels)
    );
    Ok(Drawing::plot("tsne", &plot, alt))
}

/// The places of points in the plane.
fn embed(points: &[&[f32]], seed: u64) -> Result<Vec<[f64; 2]>> {
    let neighbours: Vec<Vec<Neighbor<f64>>> = (0..points.len()).into_par_iter().map(|i| nearest(points, i)).collect();
    let begin = Purpose::Figures.stream(seed, super::Stream::Tsne as u64).normal_tensor([points.len(), 2]);
    let begin: Vec<f64> = begin.data().iter().map(|&y| 1e-4 * f64::from(y)).collect();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let one = one.map_err(|error| Error::Thread(format!("no thread for t-SNE: {error}")))?;
    let flat = one.install(|| {
        let mut tsne: tSNE<f64, &[f32]> = tSNE::new(points);
        tsne.perplexity(PERPLEXITY).epochs(STEPS).initial_embedding(begin);
        tsne.barnes_hut_with_neighbors(0.5, &neighbours).embedding()
    });
    Ok(flat.chunks_exact(2).map(|y| [y[0], y[1]]).collect())
}

/// The nearest other points of one, the nearest first; of equally near ones the first.
fn nearest(points: &[&[f32]], i: usize) -> Vec<Neighbor<f64>> {
    let distance = |j: usize| {
        let squares = points[i].iter().zip(points[j]).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let others = (0..points.len()).filter(|&j| j != i);
    let mut others: Vec<_> = others.map(|index| Neighbor { index, distance: distance(index) }).collect();
    others.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    others.truncate(NEIGHBOURS);
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three clouds of ten dimensions, far apart: they stay together, apart, and where they are on any number of threads.
    #[test]
    fn clouds_stay_clouds_and_the_picture_is_one() {
        let noise = Purpose::Figures.stream(5, 0).normal_tensor([300, 10]);
        let mut all = noise.data().to_vec();
        all.chunks_exact_mut(10).enumerate().for_each(|(i, point)| point[i % 3] += 20.0);
        let points: Vec<&[f32]> = all.chunks_exact(10).collect();
        let plane = embed(&points, 1).unwrap();
        let labels: Vec<usize> = (0..300).map(|i| i % 3).collect();
        assert!(agreement_words(&plane, &labels).contains("100 %"));
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool(3).install(|| embed(&points, 1).unwrap()), plane);
        assert_ne!(embed(&points, 2).unwrap(), plane);
    }

    #[test]
    fn neighbours_come_in_order() {
        let points: [&[f32]; 4] = [&[0.0, 0.0], &[3.0, 4.0], &[1.0, 0.0], &[0.0, 0.0]];
        let near: Vec<_> = nearest(&points, 0).iter().map(|near| (near.index, near.distance)).collect();
        assert_eq!(near, [(3, 0.0), (2, 1.0), (1, 5.0)]);
    }
}
