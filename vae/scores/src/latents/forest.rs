//! A random forest for regression (Breiman 2001), and the importance of each of its inputs.
//!
//! A tree splits the images of a node by a threshold on one input x_d. It chooses the input and the threshold that
//! reduce the squared error most. With s, the sum of y − ȳ over the left images, the reduction is
//!
//!   Σ (y − ȳ)² − Σ_left (y − ȳ_left)² − Σ_right (y − ȳ_right)² = s²·n / (n_left·n_right)
//!
//! A node is a leaf if no split reduces the error, or at depth `DEPTH`. A leaf predicts the mean of its images, and the
//! forest predicts the mean of its trees. Each tree learns from n images, drawn with replacement from the n images.
//! Every split may use any input. Many forests choose from a random subset of inputs instead, which would give some
//! importance to unrelated inputs.
//!
//! The importance of an input is its share of the total error reduction, as a mean over the trees (scikit-learn's
//! `feature_importances_`).

use rayon::prelude::*;
use tensor::Generator;

/// The number of trees in a forest.
pub(super) const TREES: usize = 20;
/// The maximum number of splits from the root to a leaf. No factor has 2¹⁰ values.
const DEPTH: usize = 10;

/// A random forest for regression.
pub(super) struct Forest {
    trees: Vec<Tree>,
    /// The importance of each input. Their sum is 1, or 0 if no tree has a split.
    pub(super) importances: Vec<f64>,
}

struct Tree {
    nodes: Vec<Node>,
    /// For each input, by how much its splits reduced the squared error.
    gains: Vec<f64>,
}

enum Node {
    Leaf(f64),
    /// The left child is the next node.
    Split {
        input: usize,
        threshold: f64,
        right: usize,
    },
}

struct Split {
    input: usize,
    threshold: f64,
    gain: f64,
}

impl Forest {
    /// Trains a forest to predict y. `inputs` has a list for each input, with one number per image. The same numbers
    /// give the same forest.
    pub(super) fn fit(inputs: &[&[f64]], y: &[f64]) -> Forest {
        let order: Vec<Vec<usize>> = inputs.iter().map(|x| argsort(x)).collect();
        let tree = |number: usize| {
            let mut rng = Generator::new(number as u64);
            let mut drawn = vec![0; y.len()];
            (0..y.len()).for_each(|_| drawn[rng.below(y.len())] += 1);
            Tree::fit(inputs, y, &order, &drawn, DEPTH, &mut rng)
        };
        let trees: Vec<Tree> = (0..TREES).into_par_iter().map(tree).collect();
        let mut importances = vec![0.0; inputs.len()];
        for tree in &trees {
            add_shares(&mut importances, &tree.gains);
        }
        let mut shares = vec![0.0; inputs.len()];
        add_shares(&mut shares, &importances);
        Forest { trees, importances: shares }
    }

    /// Returns the prediction for one image. `inputs` has a list for each input, with one number per image.
    pub(super) fn predict(&self, inputs: &[&[f64]], image: usize) -> f64 {
        self.trees.iter().map(|tree| tree.predict(inputs, image)).sum::<f64>() / self.trees.len() as f64
    }
}

impl Tree {
    /// Trains a tree. `order` has the images sorted by each input, and `drawn` has how often each image was drawn.
    fn fit(
        inputs: &[&[f64]],
        y: &[f64],
        order: &[Vec<usize>],
        drawn: &[usize],
        depth: usize,
        rng: &mut Generator,
    ) -> Tree {
        let repeated = |images: &Vec<usize>| {
            images.iter().flat_map(|&image| std::iter::repeat_n(image, drawn[image])).collect::<Vec<usize>>()
        };
        let mut tree = Tree { nodes: Vec::new(), gains: vec![0.0; inputs.len()] };
        tree.grow(inputs, y, order.iter().map(repeated).collect(), depth, rng);
        tree
    }

    /// Adds a node and everything below it. `images` has the images of the node, sorted by each input.
    fn grow(&mut self, inputs: &[&[f64]], y: &[f64], images: Vec<Vec<usize>>, depth: usize, rng: &mut Generator) {
        let mean = images[0].iter().map(|&image| y[image]).sum::<f64>() / images[0].len() as f64;
        self.nodes.push(Node::Leaf(mean));
        let split = if depth == 0 { None } else { best_split(inputs, y, mean, &images, rng) };
        let Some(Split { input, threshold, gain }) = split else { return };
        self.gains[input] += gain;
        let divide = |images: Vec<usize>| images.into_iter().partition(|&image| inputs[input][image] <= threshold);
        let (left, right) = images.into_iter().map(divide).unzip();
        let node = self.nodes.len() - 1;
        self.grow(inputs, y, left, depth - 1, rng);
        self.nodes[node] = Node::Split { input, threshold, right: self.nodes.len() };
        self.grow(inputs, y, right, depth - 1, rng);
    }

    fn predict(&self, inputs: &[&[f64]], image: usize) -> f64 {
        let mut node = 0;
        loop {
            node = match self.nodes[node] {
                Node::Leaf(mean) => return mean,
                Node::Split { input, threshold, .. } if inputs[input][image] <= threshold => node + 1,
                Node::Split { right, .. } => right,
            };
        }
    }
}

/// Returns the split that reduces the squared error most, or `None` if no split reduces it. The inputs are tried in a
/// random order, and the first of equal splits is chosen, so that two inputs with the same information share their
/// importance.
fn best_split(inputs: &[&[f64]], y: &[f64], mean: f64, images: &[Vec<usize>], rng: &mut Generator) -> Option<Split> {
    let mut best = None;
    let mut most = 0.0;
    for input in rng.permutation(inputs.len()) {
        let (x, images) = (inputs[input], &images[input]);
        let mut sum = 0.0;
        for (i, pair) in images.windows(2).enumerate() {
            let [low, high] = [x[pair[0]], x[pair[1]]];
            sum += y[pair[0]] - mean;
            let [left, all] = [i + 1, images.len()].map(|count| count as f64);
            let gain = sum * sum * all / (left * (all - left));
            if low < high && gain > most {
                let middle = low + (high - low) / 2.0;
                let threshold = if middle < high { middle } else { low }; // adjacent floats have no number between them
                most = gain;
                best = Some(Split { input, threshold, gain });
            }
        }
    }
    best
}

/// Adds `x`, divided by its sum, to `to`.
fn add_shares(to: &mut [f64], x: &[f64]) {
    let sum: f64 = x.iter().sum();
    if sum > 0.0 {
        to.iter_mut().zip(x).for_each(|(to, x)| *to += x / sum);
    }
}

/// Returns the indices that sort `x` in ascending order (a stable argsort).
fn argsort(x: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `python tests/oracle/factors.py`.
    #[test]
    fn a_tree_agrees_with_scikit_learn() {
        let number = |i: usize| i as f64;
        let formulas: [fn(f64) -> f64; 3] = [|i| (0.37 * i).sin(), |i| (0.11 * i * i).cos(), |i| (7.0 * i).sin()];
        let inputs: Vec<Vec<f64>> = formulas.iter().map(|f| (0..600).map(number).map(f).collect()).collect();
        let inputs: Vec<&[f64]> = inputs.iter().map(Vec::as_slice).collect();
        let y = |i: usize| 2.0 * inputs[0][i] * inputs[0][i] + inputs[1][i] + 1.3 * inputs[2][i];
        let y: Vec<f64> = (0..600).map(y).collect();
        let order: Vec<Vec<usize>> = inputs.iter().map(|x| argsort(x)).collect();
        let tree = Tree::fit(&inputs, &y, &order, &[1; 600], 4, &mut Generator::new(0));
        let mut shares = vec![0.0; 3];
        add_shares(&mut shares, &tree.gains);
        let near = |a: &[f64], b: &[f64]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?}");
        near(&shares, &[0.203662200618, 0.227252699122, 0.56908510026]);
        let predicted = [0, 7, 100, 599].map(|image| tree.predict(&inputs, image));
        near(&predicted, &[1.77815821182, -0.198675853617, 1.77815821182, 2.215157200625]);
    }

    #[test]
    fn equal_inputs_share_their_importance() {
        let x: Vec<f64> = (0..200).map(f64::from).collect();
        let noise: Vec<f64> = Generator::new(1).permutation(200).into_iter().map(|i| i as f64).collect();
        let y: Vec<f64> = x.iter().map(|x| x.floor() / 50.0).collect();
        let forest = Forest::fit(&[&x, &noise, &x], &y);
        let [a, b, c] = [0, 1, 2].map(|input| forest.importances[input]);
        assert!((a + b + c - 1.0).abs() < 1e-12 && b < 0.01 && a > 0.2 && c > 0.2, "{a} {b} {c}");
        assert!((forest.predict(&[&x, &noise, &x], 120) - y[120]).abs() < 0.1);
        assert_eq!(forest.importances, Forest::fit(&[&x, &noise, &x], &y).importances);
    }

    #[test]
    fn a_threshold_is_in_the_middle_or_the_lower_of_two_neighbours() {
        let split = |x: [f64; 3], y: [f64; 3]| {
            best_split(&[&x], &y, 1.0, &[vec![0, 1, 2]], &mut Generator::new(0)).map(|split| split.threshold)
        };
        assert_eq!(split([0.0, 1.0, 5.0], [0.0, 0.0, 3.0]), Some(3.0));
        assert_eq!(split([0.0, 1.0, 5.0], [0.0, 3.0, 0.0]), Some(0.5), "the first of equal splits");
        let next = 1.0_f64.next_up();
        assert_eq!(split([1.0, next, 2.0], [3.0, 0.0, 0.0]), Some(1.0));
        assert_eq!(split([next, next.next_up(), 2.0], [3.0, 0.0, 0.0]), Some(next), "the middle is rounded up");
        let mut shares = [0.25];
        add_shares(&mut shares, &[0.0]);
        assert_eq!(shares, [0.25]);
        let forest = Forest::fit(&[&[1.0, next]], &[0.0, 8.0]);
        let [low, high] = [0, 1].map(|image| forest.predict(&[&[1.0, next]], image));
        assert!(low < 4.0 && high > 4.0, "{low} {high}");
    }

    #[test]
    fn constant_inputs_or_outputs_give_no_split() {
        let same = vec![0.5; 30];
        let y: Vec<f64> = (0..30).map(f64::from).collect();
        assert_eq!(Forest::fit(&[&same], &y).importances, [0.0]);
        let forest = Forest::fit(&[&y], &same);
        assert_eq!((forest.importances[0], forest.predict(&[&y], 3)), (0.0, 0.5));
    }
}
