//! The quality of reconstructions, measured by classifiers. The transfer paper cites such a measure (Leontev, Mikheev,
//! Sviatov and Sukhov, "Quality metrics of variational autoencoders", 2020: "a two stage classifier to measure the
//! quality of the generated images") without its formula, and we found no public text of it. Here it means:
//!
//! 1. Recognised: the accuracy, on reconstructions, of a classifier that was trained on real images.
//! 2. Taught: the accuracy, on real test images, of a classifier that was trained on reconstructions of training images.
//!
//! Each score also has the accuracy for the originals as a second part. The second classifier is a linear one on the
//! features of the first classifier. It has a closed form, the least-squares fit to one-hot labels Y: W = (XᵀX +
//! λn·I)⁻¹·Xᵀ(Y − Ȳ), where X are the features, centred and divided by their standard deviations, n is the number of
//! images, and λ = 0.01. The predicted label is the index of the largest number in XW + Ȳ.

use super::frechet::Features;
use super::matrix::Matrix;

const LAMBDA: f64 = 0.01;

/// A linear classifier of features.
pub struct LinearClassifier {
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Wᵀ, with one row per class.
    weight: Matrix,
    /// Ȳ, the share of each class.
    shares: Vec<f64>,
}

impl LinearClassifier {
    /// Trains a classifier. Returns `None` if a feature is not finite.
    pub fn train(features: &Features, labels: &[usize], classes: usize) -> Option<LinearClassifier> {
        let columns = features.matrix().transpose();
        let (n, width) = (columns.columns as f64, features.width);
        let mean: Vec<f64> = (0..width).map(|j| columns.row(j).iter().sum::<f64>() / n).collect();
        let variance = |j: usize| columns.row(j).iter().map(|x| (x - mean[j]).powi(2)).sum::<f64>() / n;
        let deviations = (0..width).map(|j| variance(j).sqrt());
        let scale: Vec<f64> =
            deviations.map(|deviation| if deviation > 1e-9 { 1.0 / deviation } else { 0.0 }).collect();
        let one_hot = Matrix::from_fn(classes, labels.len(), |class, i| f64::from(labels[i] == class));
        let shares = (0..classes).map(|class| one_hot.row(class).iter().sum::<f64>() / n).collect();
        let x = standardised(features, &mean, &scale).transpose();
        let mut square = x.matmul_nt(&x);
        square.numbers.iter_mut().step_by(width + 1).for_each(|number| *number += LAMBDA * n);
        let weight = square.cholesky()?.cholesky_solve(&one_hot.matmul_nt(&x)); // Xᵀ(Y − Ȳ) = XᵀY, because X is centred
        Some(LinearClassifier { mean, scale, weight, shares })
    }

    /// Returns the predicted label of each image.
    pub fn predict(&self, features: &Features) -> Vec<usize> {
        let scores = standardised(features, &self.mean, &self.scale).matmul_nt(&self.weight);
        let score = |image: usize, class: usize| scores.row(image)[class] + self.shares[class];
        let best = |image: usize| {
            let classes = (0..self.shares.len()).rev(); // the first one of equal scores
            classes.max_by(|&a, &b| score(image, a).total_cmp(&score(image, b))).unwrap_or(0)
        };
        (0..features.images()).map(best).collect()
    }
}

fn standardised(features: &Features, mean: &[f64], scale: &[f64]) -> Matrix {
    let x = features.matrix();
    Matrix::from_fn(x.rows(), x.columns, |i, j| (x.row(i)[j] - mean[j]) * scale[j])
}

/// Returns the share of predictions that are equal to the labels.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> f64 {
    let right = predicted.iter().zip(labels).filter(|(a, b)| a == b).count();
    right as f64 / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use tensor::Generator;

    use super::*;

    /// Returns three clouds of unequal sizes around (0, 0), (8, 0) and (0, 8). A third feature is constant.
    fn clouds(seed: u64, images: usize) -> (Features, Vec<usize>) {
        let noise = Generator::new(seed).normal_tensor([images, 2]);
        let labels: Vec<usize> = (0..images).map(|i| (i % 5).min(2)).collect();
        let row = |(&label, noise): (&usize, &[f32])| {
            let at = [[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]][label];
            [at[0] + noise[0], at[1] + noise[1], 5.0]
        };
        let numbers = labels.iter().zip(noise.data().chunks_exact(2)).flat_map(row).collect();
        (Features { width: 3, numbers }, labels)
    }

    /// The features 0, 2, 4, 6 have the mean 3 and the variance 5, so W = (4/√5)/(4 + 4λ) for the upper class.
    #[test]
    fn the_weights_are_those_of_the_closed_form() {
        let features = Features { width: 1, numbers: vec![0.0, 2.0, 4.0, 6.0] };
        let linear = LinearClassifier::train(&features, &[0, 0, 1, 1], 2).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(linear.mean[0], 3.0);
        near(linear.scale[0], 1.0 / 5_f64.sqrt());
        near(linear.weight.numbers[1], 4.0 / 5_f64.sqrt() / 4.04);
        near(linear.weight.numbers[0], -linear.weight.numbers[1]);
        assert_eq!(linear.shares, [0.5, 0.5]);
    }

    #[test]
    fn separable_classes_are_predicted_and_others_give_the_most_frequent() {
        let ((seen, labels), (unseen, truth)) = (clouds(1, 300), clouds(2, 200));
        let linear = LinearClassifier::train(&seen, &labels, 3).unwrap();
        assert!(accuracy(&linear.predict(&unseen), &truth) > 0.98);
        // With constant features, every prediction is the most frequent label.
        let blank = |images: usize| Features { width: 3, numbers: vec![1.0; 3 * images] };
        let linear = LinearClassifier::train(&blank(300), &labels, 3).unwrap();
        assert_eq!(linear.predict(&blank(4)), [2; 4]);
        assert_eq!(accuracy(&[0, 1, 2, 2], &[0, 1, 1, 2]), 0.75);
    }
}
