//! `tsne`: the posterior means μ(x) of test images in a plane, coloured by class. t-SNE (van der Maaten and Hinton 2008) keeps
//! near points near: the positions y in the plane minimise KL(P‖Q) for
//!
//! ```text
//! p_j|i ∝ exp(−‖μ_i − μ_j‖²/2σ_i²), of perplexity 30,  p_ij = (p_j|i + p_i|j)/2n,   q_ij ∝ 1/(1 + ‖y_i − y_j‖²)
//! ```
//!
//! P is restricted to each point's `NEIGHBOURS` nearest others, as usual. Q is over all pairs: the sum over 2,000 points takes
//! milliseconds, so the tree approximation of Barnes and Hut is not needed. The gradient descent is that of van der Maaten's
//! program: momentum, a gain for each coordinate, and P multiplied by `EXAGGERATION` in the first steps, so that clusters form.
//! Sums have a fixed order for any number of threads, and the descent starts from draws of the run's seed, so the same run
//! gives the same figure.

use rayon::prelude::*;
use vae_core::random::Purpose;
use vae_core::{Error, Result};
use vae_run::LoadedRun;

use super::latents::means;
use super::scatter::{MOST, agreement_words, coloured};
use super::{Drawing, first_places};

const PERPLEXITY: f64 = 30.0;
/// The neighbours that attract each point: three times the perplexity, as usual.
const NEIGHBOURS: usize = 90;
const STEPS: usize = 750;
/// The number of first steps, and the factor of P in them.
const EARLY: usize = 250;
const EXAGGERATION: f64 = 12.0;
const LEARNING_RATE: f64 = 50.0;
/// Independent partial sums, in chunks of a fixed length, so that the compiler vectorises the loop.
const LANES: usize = 8;

/// Draws the figure.
///
/// # Errors
/// If the model has no latents, there are too few test images, or the device fails.
pub fn draw(run: &LoadedRun) -> Result<Drawing> {
    let places = first_places(run, MOST)?;
    let mu = means(run, "tsne", &places)?;
    let least = 2 * NEIGHBOURS;
    if places.len() < least {
        return Err(Error::config(format!(
            "tsne: it needs at least {least} test images, and there are {}",
            places.len()
        )));
    }
    let rows: Vec<&[f32]> = mu.data().chunks_exact(run.predictor.config.model.z_dim).collect();
    let points = embed(&rows, run.predictor.config.seed);
    let labels = run.dataset()?.test.labels(&places);
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

/// Returns the positions of the points in the plane.
fn embed(points: &[&[f32]], seed: u64) -> Vec<[f64; 2]> {
    let p = affinities(points);
    let mut y = start(points.len(), seed);
    descend(&p, &mut y, STEPS);
    y
}

/// Draws of a normal distribution of deviation 1e-4.
fn start(count: usize, seed: u64) -> Vec<[f64; 2]> {
    let draws = Purpose::Figures.stream(seed, super::Stream::Tsne as u64).normal_tensor([count, 2]);
    draws.data().chunks_exact(2).map(|y| [y[0], y[1]].map(|y| 1e-4 * f64::from(y))).collect()
}

/// The momentum and the factor of P in a step, counted from 0.
fn phase(step: usize) -> [f64; 2] {
    if step < EARLY { [0.5, EXAGGERATION] } else { [0.8, 1.0] }
}

fn descend(p: &[Vec<(usize, f64)>], y: &mut [[f64; 2]], steps: usize) {
    let mut velocity = vec![[0.0; 2]; y.len()];
    let mut gains = vec![[1.0_f64; 2]; y.len()];
    for [momentum, exaggeration] in (0..steps).map(phase) {
        let gradient = gradient(p, y, exaggeration);
        for (i, dy) in gradient.iter().enumerate() {
            for d in 0..2 {
                // The gain grows while the gradient keeps its sign and shrinks after it changes.
                let gain = &mut gains[i][d];
                let turned = (dy[d] > 0.0) == (velocity[i][d] > 0.0);
                *gain = if turned { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
                velocity[i][d] = momentum * velocity[i][d] - LEARNING_RATE * *gain * dy[d];
                y[i][d] += velocity[i][d];
            }
        }
        let mean = [0, 1].map(|d| y.iter().map(|y| y[d]).sum::<f64>() / y.len() as f64);
        y.iter_mut().for_each(|y| *y = [y[0] - mean[0], y[1] - mean[1]]);
    }
}

/// 4 Σ_j (p_ij − q_ij)·w_ij·(y_i − y_j), where w_ij = 1/(1 + ‖y_i − y_j‖²) and q_ij = w_ij/Z.
fn gradient(p: &[Vec<(usize, f64)>], y: &[[f64; 2]], exaggeration: f64) -> Vec<[f64; 2]> {
    let [y0, y1]: [Vec<f64>; 2] = [0, 1].map(|d| y.iter().map(|y| y[d]).collect());
    let repulsions: Vec<[f64; 3]> = (0..y.len()).into_par_iter().map(|i| repulsion(y[i], &y0, &y1)).collect();
    let z: f64 = repulsions.iter().map(|[w, _, _]| w - 1.0).sum(); // without w_ii = 1
    let of_point = |i: usize| {
        let mut sum = [0.0; 2];
        for &(j, p) in &p[i] {
            let d = [y[i][0] - y[j][0], y[i][1] - y[j][1]];
            let pw = p / (1.0 + d[0] * d[0] + d[1] * d[1]);
            sum = [sum[0] + pw * d[0], sum[1] + pw * d[1]];
        }
        let [_, r0, r1] = repulsions[i];
        [4.0 * (exaggeration * sum[0] - r0 / z), 4.0 * (exaggeration * sum[1] - r1 / z)]
    };
    (0..y.len()).into_par_iter().map(of_point).collect()
}

/// Σ_j w_ij and Σ_j w_ij²·(y_i − y_j).
fn repulsion(y: [f64; 2], y0: &[f64], y1: &[f64]) -> [f64; 3] {
    let mut sums = [[0.0; LANES]; 3];
    let mut add = |lane: usize, y0: f64, y1: f64| {
        let d = [y[0] - y0, y[1] - y1];
        let w = 1.0 / (1.0 + d[0] * d[0] + d[1] * d[1]);
        sums[0][lane] += w;
        sums[1][lane] += w * w * d[0];
        sums[2][lane] += w * w * d[1];
    };
    let ((whole0, rest0), (whole1, rest1)) = (y0.as_chunks::<LANES>(), y1.as_chunks::<LANES>());
    for (y0, y1) in whole0.iter().zip(whole1) {
        (0..LANES).for_each(|lane| add(lane, y0[lane], y1[lane]));
    }
    rest0.iter().zip(rest1).enumerate().for_each(|(lane, (&y0, &y1))| add(lane, y0, y1));
    sums.map(|lanes| lanes.iter().sum())
}

/// For each point i, the j and p_ij of all p_ij that are not 0.
fn affinities(points: &[&[f32]]) -> Vec<Vec<(usize, f64)>> {
    let of_point = |i: usize| {
        let near = nearest(points, i);
        let distances: Vec<f64> = near.iter().map(|(_, distance)| *distance).collect();
        near.iter().map(|(j, _)| *j).zip(conditional(&distances)).collect::<Vec<_>>()
    };
    let conditional: Vec<Vec<(usize, f64)>> = (0..points.len()).into_par_iter().map(of_point).collect();
    let mut p = vec![std::collections::BTreeMap::new(); points.len()];
    for (i, near) in conditional.iter().enumerate() {
        for &(j, of_i) in near {
            let half = of_i / (2 * points.len()) as f64;
            *p[i].entry(j).or_insert(0.0) += half;
            *p[j].entry(i).or_insert(0.0) += half;
        }
    }
    p.into_iter().map(|near| near.into_iter().collect()).collect()
}

/// p_j|i ∝ exp(−β·d²) of distances in ascending order. Bisection finds the β that gives the perplexity.
fn conditional(distances: &[f64]) -> Vec<f64> {
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    let wanted = PERPLEXITY.min(distances.len() as f64).ln();
    loop {
        // Relative to the nearest one, so that the exponentials do not all underflow.
        let squares = distances.iter().map(|d| d * d - distances[0] * distances[0]);
        let mut p: Vec<f64> = squares.map(|square| (-beta * square).exp()).collect();
        let sum: f64 = p.iter().sum();
        p.iter_mut().for_each(|p| *p /= sum);
        let entropy: f64 = p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        if (entropy - wanted).abs() < 1e-5 || beta == low || beta == high {
            return p;
        }
        if entropy > wanted {
            low = beta
        } else {
            high = beta
        }
        beta = if high.is_finite() { (low + high) / 2.0 } else { (beta * 2.0).min(1e300) };
    }
}

/// The nearest other points of point `i` with their distances, in ascending order, ties by index.
fn nearest(points: &[&[f32]], i: usize) -> Vec<(usize, f64)> {
    let distance = |j: usize| {
        let squares = points[i].iter().zip(points[j]).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let others = (0..points.len()).filter(|&j| j != i);
    let mut others: Vec<(usize, f64)> = others.map(|j| (j, distance(j))).collect();
    others.sort_by(|a, b| a.1.total_cmp(&b.1));
    others.truncate(NEIGHBOURS);
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three distant clouds in ten dimensions stay together and apart from each other, with the same bits on any number of
    /// threads.
    #[test]
    fn clusters_stay_together_and_threads_change_nothing() {
        let noise = Purpose::Figures.stream(5, 0).normal_tensor([300, 10]);
        let mut all = noise.data().to_vec();
        all.chunks_exact_mut(10).enumerate().for_each(|(i, point)| point[i % 3] += 20.0);
        let points: Vec<&[f32]> = all.chunks_exact(10).collect();
        let plane = embed(&points, 1);
        let labels: Vec<usize> = (0..300).map(|i| i % 3).collect();
        assert!(agreement_words(&plane, &labels).contains("100 %"));
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool(3).install(|| embed(&points, 1)), plane);
        assert_ne!(embed(&points, 2), plane);
    }

    #[test]
    fn neighbours_are_sorted() {
        let points: [&[f32]; 4] = [&[0.0, 0.0], &[3.0, 4.0], &[1.0, 0.0], &[0.0, 0.0]];
        assert_eq!(nearest(&points, 0), [(3, 0.0), (2, 1.0), (1, 5.0)]);
        assert_eq!(nearest(&points, 1), [(2, 20.0_f64.sqrt()), (0, 5.0), (3, 5.0)]);
    }

    /// 2^entropy (in bits) is the perplexity. Equally distant points have equal probabilities for every β.
    #[test]
    fn each_point_has_the_chosen_perplexity() {
        let entropy = |p: &[f64]| p.iter().map(|p| -p * p.max(1e-300).ln()).sum::<f64>();
        for scale in [1e-6, 1.0, 1e6] {
            let distances: Vec<f64> = (1..=90).map(|i| scale * f64::from(i)).collect();
            let p = conditional(&distances);
            assert!((entropy(&p).exp() - PERPLEXITY).abs() < 1e-3 && p.is_sorted_by(|a, b| a > b), "{scale}");
        }
        // The probabilities of points that are very far away underflow to 0.
        let distances: Vec<f64> = (1..=90).map(|i| f64::from(i) * if i > 60 { 1e9 } else { 1.0 }).collect();
        let p = conditional(&distances);
        assert!((entropy(&p).exp() - PERPLEXITY).abs() < 1e-3 && p[60..] == [0.0; 30], "{p:?}");
        assert!(conditional(&[2.0; 90]).iter().all(|p| (p - 1.0 / 90.0).abs() < 1e-12));
        assert!(conditional(&[0.0; 5]).iter().all(|p| (p - 0.2).abs() < 1e-12));
    }

    /// Van der Maaten's bisection: a bound that is not known yet doubles or halves β, and an entropy within 1e-5 is enough.
    #[test]
    fn the_bisection_stops_near_the_perplexity() {
        for scale in [0.01, 0.3, 2.0] {
            let distances: Vec<f64> = (1..=90).map(|i| scale * (1.0 + f64::from(i).sqrt())).collect();
            let at = |beta: f64| {
                let p: Vec<f64> = distances.iter().map(|d| (beta * (distances[0].powi(2) - d.powi(2))).exp()).collect();
                let sum: f64 = p.iter().sum();
                p.iter().map(|p| p / sum).collect::<Vec<f64>>()
            };
            let over = |beta: f64| at(beta).iter().map(|p| -p * p.ln()).sum::<f64>() - PERPLEXITY.ln();
            let (mut bounds, mut beta) = ([None, None], 1.0_f64);
            while over(beta).abs() >= 1e-5 {
                bounds[usize::from(over(beta) < 0.0)] = Some(beta);
                beta = match bounds {
                    [Some(low), Some(high)] => (low + high) / 2.0,
                    [_, None] => beta * 2.0,
                    [None, _] => beta / 2.0,
                };
            }
            let p = conditional(&distances);
            assert!(p.iter().zip(at(beta)).all(|(p, q)| (p / q - 1.0).abs() < 1e-11), "{scale}");
        }
    }

    /// The descent equals van der Maaten's program, with sums over all pairs.
    #[test]
    fn a_few_steps_equal_a_plain_descent() {
        const N: usize = 12;
        let x = Purpose::Figures.stream(9, 0).normal_tensor([N, 3]);
        let points: Vec<&[f32]> = x.data().chunks_exact(3).collect();
        let sparse = affinities(&points);
        let mut p = [[0.0; N]; N];
        sparse.iter().enumerate().for_each(|(i, near)| near.iter().for_each(|&(j, of)| p[i][j] = of));
        assert_eq!([phase(0), phase(249), phase(250)], [[0.5, 12.0], [0.5, 12.0], [0.8, 1.0]]);

        let mut y = start(N, 4);
        let draws = Purpose::Figures.stream(4, crate::gallery::Stream::Tsne as u64).normal_tensor([N, 2]);
        let mut plain: Vec<f64> = draws.data().iter().map(|&draw| f64::from(draw) / 1e4).collect();
        assert!(y.iter().flatten().zip(&plain).all(|(y, plain)| (y - plain).abs() < 1e-18));
        descend(&sparse, &mut y, 7);
        let (mut moves, mut gains) = ([0.0; 2 * N], [1.0; 2 * N]);
        for _ in 0..7 {
            let w = |i: usize, j: usize| {
                let apart: f64 = (0..2).map(|d| (plain[2 * i + d] - plain[2 * j + d]).powi(2)).sum();
                if i == j { 0.0 } else { 1.0 / (1.0 + apart) }
            };
            let all: f64 = (0..N * N).map(|k| w(k / N, k % N)).sum();
            let slope = |k: usize| {
                let term = |j: usize| {
                    (12.0 * p[k / 2][j] - w(k / 2, j) / all) * w(k / 2, j) * (plain[k] - plain[2 * j + k % 2])
                };
                4.0 * (0..N).map(term).sum::<f64>()
            };
            let slopes: Vec<f64> = (0..2 * N).map(slope).collect();
            for (k, slope) in slopes.into_iter().enumerate() {
                let same = matches!((slope > 0.0, moves[k] > 0.0), (true, true) | (false, false));
                gains[k] = if same { 0.8 * gains[k] } else { gains[k] + 0.2 };
                moves[k] = 0.5 * moves[k] - 50.0 * gains[k] * slope;
                plain[k] += moves[k];
            }
            for d in 0..2 {
                let mean = plain.iter().skip(d).step_by(2).sum::<f64>() / N as f64;
                plain.iter_mut().skip(d).step_by(2).for_each(|y| *y -= mean);
            }
        }
        let near = |(y, plain): (&f64, &f64)| (y / plain - 1.0).abs() < 1e-6;
        assert!(y.iter().flatten().zip(&plain).all(near), "{y:?}\n{plain:?}");
    }

    /// The gradient equals central differences of KL(P‖Q) over all pairs.
    #[test]
    fn the_gradient_is_that_of_the_divergence() {
        let draws = |stream| Purpose::Figures.stream(7, stream).normal_tensor([120, 2]);
        let (x, y) = (draws(0), draws(1));
        let points: Vec<&[f32]> = x.data().chunks_exact(2).collect();
        let p = affinities(&points);
        assert!((p.iter().flatten().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-12);
        let y: Vec<[f64; 2]> = y.data().chunks_exact(2).map(|y| [f64::from(y[0]), f64::from(y[1])]).collect();
        let divergence = |y: &[[f64; 2]]| {
            let w = |i: usize, j: usize| 1.0 / (1.0 + (y[i][0] - y[j][0]).powi(2) + (y[i][1] - y[j][1]).powi(2));
            let z: f64 = (0..120)
                .flat_map(|i| (0..120).filter(move |&j| j != i).map(move |j| (i, j)))
                .map(|(i, j)| w(i, j))
                .sum();
            let pairs = p.iter().enumerate().flat_map(|(i, near)| near.iter().map(move |&(j, p)| (i, j, p)));
            pairs.map(|(i, j, p)| p * (p * z / w(i, j)).ln()).sum::<f64>()
        };
        let gradient = gradient(&p, &y, 1.0);
        for (i, d) in [(0, 0), (17, 1), (119, 0)] {
            let moved = |by: f64| {
                let mut y = y.clone();
                y[i][d] += by;
                divergence(&y)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient[i][d] - difference).abs() < 1e-8, "{} {difference}", gradient[i][d]);
        }
    }
}
