//! Multinomial logistic regression: p(class k | x) ∝ exp(w_k·x + b_k). The weights minimise
//!
//!   Σ_i −ln p(y_i | x_i) + ½ Σ_k ‖w_k‖²        scikit-learn's `LogisticRegression()`, C = 1
//!
//! This convex function is minimised by L-BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5). A step is −H·g, where
//! g is the gradient, and H approximates the inverse Hessian from the last `PAIRS` steps s and the changes t of the
//! gradient.

/// The number of steps in the approximation of the inverse Hessian.
const PAIRS: usize = 10;
/// The maximum number of steps (`STEPS`), and the gradient below which the minimum is reached (`FLAT`, for every
/// component).
const STEPS: usize = 1_000;
const FLAT: f64 = 1e-6;
/// The maximum number of lengths that a line search tries.
const HALVINGS: i32 = 40;

/// A linear classifier.
pub(super) struct Classifier {
    inputs: usize,
    /// For each class, its weights and then its bias.
    weights: Vec<f64>,
}

impl Classifier {
    /// Trains a classifier. `points` has `inputs` numbers for each point, and `truth` has the class of each point,
    /// below `classes`.
    pub(super) fn fit(points: &[f64], inputs: usize, truth: &[usize], classes: usize) -> Classifier {
        let start = vec![0.0; classes * (inputs + 1)];
        let weights = minimise(|weights, slope| loss(weights, points, inputs, truth, slope), start);
        Classifier { inputs, weights }
    }

    /// Returns the most probable class of a point.
    pub(super) fn predict(&self, point: &[f64]) -> usize {
        let logits = logits(&self.weights, point, self.inputs);
        (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
    }
}

fn logits(weights: &[f64], point: &[f64], inputs: usize) -> Vec<f64> {
    weights.chunks_exact(inputs + 1).map(|row| row[inputs] + dot(&row[..inputs], point)).collect()
}

/// Returns the loss that is minimised, and writes its gradient to `slope`.
fn loss(weights: &[f64], points: &[f64], inputs: usize, truth: &[usize], slope: &mut [f64]) -> f64 {
    slope.fill(0.0);
    let mut loss = 0.0;
    for (point, &class) in points.chunks_exact(inputs).zip(truth) {
        let mut p = logits(weights, point, inputs);
        let max = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        loss -= p[class] - max;
        p.iter_mut().for_each(|p| *p = (*p - max).exp());
        let sum: f64 = p.iter().sum();
        loss += sum.ln();
        for (k, row) in slope.chunks_exact_mut(inputs + 1).enumerate() {
            let d = p[k] / sum - f64::from(k == class);
            row.iter_mut().zip(point).for_each(|(slope, x)| *slope += d * x);
            row[inputs] += d;
        }
    }
    for (row, slope) in weights.chunks_exact(inputs + 1).zip(slope.chunks_exact_mut(inputs + 1)) {
        loss += 0.5 * dot(&row[..inputs], &row[..inputs]);
        row[..inputs].iter().zip(slope).for_each(|(w, slope)| *slope += w);
    }
    loss
}

/// Returns the minimum of a convex function `f`, starting at `x`. `f` returns its value and writes its gradient to its
/// second argument.
fn minimise(mut f: impl FnMut(&[f64], &mut [f64]) -> f64, mut x: Vec<f64>) -> Vec<f64> {
    let mut g = vec![0.0; x.len()];
    let mut y = f(&x, &mut g);
    let mut pairs: Vec<[Vec<f64>; 2]> = Vec::new(); // s and t
    for _ in 0..STEPS {
        if g.iter().all(|g| g.abs() < FLAT) {
            break;
        }
        let step = newton_step(&g, &pairs);
        let descent = dot(&step, &g);
        // Backtracking line search: halve the step until the function decreases sufficiently (Armijo's condition).
        let attempt = |length: f64| {
            let next: Vec<f64> = x.iter().zip(&step).map(|(x, step)| x + length * step).collect();
            let mut next_g = vec![0.0; x.len()];
            let next_y = f(&next, &mut next_g);
            (next_y <= y + 1e-4 * length * descent).then_some((next, next_g, next_y))
        };
        let lengths = (0..HALVINGS).map(|halvings| 0.5_f64.powi(halvings));
        let Some((next, next_g, next_y)) = lengths.into_iter().find_map(attempt) else {
            return x; // rounding prevents any further decrease
        };
        let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let pair = [difference(&next, &x), difference(&next_g, &g)];
        if dot(&pair[0], &pair[1]) > 0.0 {
            pairs.drain(..(pairs.len() + 1).saturating_sub(PAIRS));
            pairs.push(pair);
        }
        (x, g, y) = (next, next_g, next_y);
    }
    x
}

/// Returns −H·g by the two-loop recursion over the pairs.
fn newton_step(g: &[f64], pairs: &[[Vec<f64>; 2]]) -> Vec<f64> {
    let add = |to: &mut [f64], factor: f64, x: &[f64]| to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
    let mut step: Vec<f64> = g.iter().map(|g| -g).collect();
    let mut factors = Vec::new();
    for [s, t] in pairs.iter().rev() {
        let factor = dot(s, &step) / dot(s, t);
        add(&mut step, -factor, t);
        factors.push(factor);
    }
    // Without a pair, the length of the step is at most 1.
    let scale = pairs.last().map_or(1.0 / dot(g, g).sqrt().max(1.0), |[s, t]| dot(s, t) / dot(t, t));
    step.iter_mut().for_each(|step| *step *= scale);
    for ([s, t], factor) in pairs.iter().zip(factors.into_iter().rev()) {
        let other = dot(t, &step) / dot(s, t);
        add(&mut step, factor - other, s);
    }
    step
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `python tests/oracle/factors.py`.
    #[test]
    fn a_classifier_agrees_with_scikit_learn() {
        let truth: Vec<usize> = (0..300).map(|i| i % 3).collect();
        let point = |i: usize| {
            let (x, y) = (i as f64, i % 3);
            [(0.7 * x).sin() + 0.5 * y as f64, (1.3 * x).cos() - 0.4 * f64::from(y == 1)]
        };
        let points: Vec<f64> = (0..300).flat_map(point).collect();
        let classifier = Classifier::fit(&points, 2, &truth, 3);
        // Adding one number to all biases changes nothing. In scikit-learn, the biases sum to 0.
        let shift = [2, 5, 8].map(|bias| classifier.weights[bias]).iter().sum::<f64>() / 3.0;
        let theirs = [
            [-0.966235012142, 0.237226090817, 0.462283435766],
            [-0.004835770904, -0.500408092998, 0.060252003028],
            [0.971070783046, 0.26318200218, -0.522535438794],
        ];
        for (ours, theirs) in classifier.weights.chunks_exact(3).zip(theirs) {
            let ours = [ours[0], ours[1], ours[2] - shift];
            assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6), "{ours:?}, there {theirs:?}");
        }
        let predicted: Vec<usize> = points.chunks_exact(2).map(|point| classifier.predict(point)).collect();
        assert_eq!(predicted.iter().filter(|class| **class == 2).count(), 100);
    }

    /// The line search accepts a step whose decrease is a part of 1e-4 of what the slope promises, and halves it otherwise.
    /// The first gradient is −1, so the first step is to 1. Every other gradient is 0, unless the case says otherwise.
    #[test]
    fn a_step_is_halved_until_the_function_decreases_enough() {
        let from_zero = |cases: &'static [(f64, f64, f64)]| {
            let f = move |x: &[f64], g: &mut [f64]| {
                let case = cases.iter().find(|(at, ..)| *at == x[0]).copied();
                let (_, y, slope) = case.unwrap_or(if x[0] == 0.0 { (0.0, 0.0, -1.0) } else { (x[0], -9.0, 0.0) });
                g[0] = slope;
                y
            };
            minimise(f, vec![0.0])
        };
        assert_eq!(from_zero(&[(1.0, -1e-4, 0.0)]), [1.0]);
        assert_eq!(from_zero(&[(1.0, 5e-5, 0.0)]), [0.5], "it increased");
        assert_eq!(from_zero(&[(1.0, 5e-5, 0.0), (0.5, -1e-4, 0.0)]), [0.5]);
        assert_eq!(from_zero(&[(1.0, -1.0, -1.0)]), [2.0], "a constant slope says nothing about the curvature");
    }

    /// A slope of 1e-6 is not flat yet.
    #[test]
    fn a_slope_is_flat_below_its_limit() {
        let parabola = |x: &[f64], g: &mut [f64]| {
            g[0] = x[0] + FLAT;
            x[0] * x[0] / 2.0 + FLAT * x[0]
        };
        assert_eq!(minimise(parabola, vec![0.0]), [-FLAT]);
        let start = FLAT.next_down() - FLAT;
        assert_eq!(minimise(parabola, vec![start]), [start], "flat from the beginning");
    }

    /// Without pairs a step goes down the gradient, at most by 1. A pair (s, t) is the change of the gradient by a step: the
    /// approximation H maps t to s.
    #[test]
    fn a_step_satisfies_the_secant_equation() {
        assert_eq!(newton_step(&[0.25, -0.5], &[]), [-0.25, 0.5]);
        let long = newton_step(&[3.0, -4.0], &[]);
        assert!((long[0] + 0.6).abs() < 1e-15 && (long[1] - 0.8).abs() < 1e-15, "{long:?}");
        let pairs = [[vec![1.0, 0.5], vec![4.0, 1.0]], [vec![-0.25, 1.0], vec![0.5, 3.0]]];
        let step = newton_step(&pairs[1][1], &pairs);
        assert!(step.iter().zip(&pairs[1][0]).all(|(step, s)| (step + s).abs() < 1e-12), "{step:?}");
        // In a direction that no pair knows, H is the multiple of the last pair, s·t/t².
        let step = newton_step(&[-1.0, 0.5], &[[vec![1.0, 2.0], vec![2.0, 4.0]]]);
        assert!((step[0] - 0.5).abs() < 1e-12 && (step[1] + 0.25).abs() < 1e-12, "{step:?}");
    }

    /// Rosenbrock's function is not convex, but its minimum is found as well.
    #[test]
    fn the_minimum_is_found() {
        let valley = |x: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            (g[0], g[1]) = (-2.0 * a - 400.0 * b * x[0], 200.0 * b);
            a * a + 100.0 * b * b
        };
        let x = minimise(valley, vec![-1.2, 1.0]);
        assert!((x[0] - 1.0).abs() < 1e-5 && (x[1] - 1.0).abs() < 1e-5, "{x:?}");
    }
}
