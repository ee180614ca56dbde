//! What a classifier makes of what a model gives back. The transfer paper cites such a measure (Leontev, Mikheev, Sviatov and
//! Sukhov, "Quality metrics of variational autoencoders", 2020: "a two stage classifier to measure the quality of the generated
//! images") without its formula, and we found no public text of it; here it means
//!
//! 1. recognised: a classifier that was trained on real images names reconstructions; the share that it names rightly.
//! 2. taught: a classifier that is trained on reconstructions of training images names real test images, likewise.
//!
//! Both stand beside the same share for the originals. The second classifier is a linear one on the features that the first one
//! sees, so that it is small and exact: least squares onto one-hot labels, W = (XᵀX + λn·I)⁻¹·Xᵀ(Y − Ȳ), X centred and divided by
//! each feature's deviation, λ = 0.01; the label is the largest of XW + Ȳ.

use nalgebra::{DMatrix, RowDVector};

use super::frechet::Features;

const LAMBDA: f64 = 0.01;

/// A linear classifier.
pub struct Linear {
    mean: RowDVector<f64>,
    scale: RowDVector<f64>,
    weight: DMatrix<f64>,
    shares: RowDVector<f64>,
}

impl Linear {
    /// Trains it. None if the features are no finite numbers.
    pub fn train(features: &Features, labels: &[usize], classes: usize) -> Option<Linear> {
        let x = features.matrix();
        let (n, width) = x.shape();
        let mean = x.row_mean();
        let deviation = x.row_variance().map(f64::sqrt);
        let scale = deviation.map(|deviation| if deviation > 1e-9 { 1.0 / deviation } else { 0.0 });
        let mut y = DMatrix::zeros(n, classes);
        labels.iter().enumerate().for_each(|(row, &label)| y[(row, label)] = 1.0);
        let shares = y.row_mean();
        let x = standardised(x, &mean, &scale);
        let square = x.tr_mul(&x) + DMatrix::identity(width, width) * (LAMBDA * n as f64);
        let weight = square.cholesky()?.solve(&x.tr_mul(&y)); // X is centred: so is what Ȳ would take away
        Some(Linear { mean, scale, weight, shares })
    }

    /// The label of each image.
    pub fn name(&self, features: &Features) -> Vec<usize> {
        let mut scores = standardised(features.matrix(), &self.mean, &self.scale) * &self.weight;
        scores.row_iter_mut().for_each(|mut row| row += &self.shares);
        scores.row_iter().map(|row| row.transpose().imax()).collect()
    }
}

fn standardised(mut x: DMatrix<f64>, mean: &RowDVector<f64>, scale: &RowDVector<f64>) -> DMatrix<f64> {
    for (j, mut column) in x.column_iter_mut().enumerate() {
        column.apply(|number| *number = (*number - mean[j]) * scale[j]);
    }
    x
}

/// The share of labels that are right.
pub fn accuracy(named: &[usize], labels: &[usize]) -> f64 {
    let right = named.iter().zip(labels).filter(|(a, b)| a == b).count();
    right as f64 / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use tensor::Generator;

    use super::*;

    /// Three clouds around (0, 0), (8, 0) and (0, 8), of unequal sizes, and a feature that never changes.
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

    #[test]
    fn what_can_be_told_apart_is_and_what_cannot_is_guessed() {
        let ((seen, labels), (unseen, truth)) = (clouds(1, 300), clouds(2, 200));
        let linear = Linear::train(&seen, &labels, 3).unwrap();
        assert!(accuracy(&linear.name(&unseen), &truth) > 0.98);
        // Without anything to tell them by, everything is the most frequent.
        let blank = |images: usize| Features { width: 3, numbers: vec![1.0; 3 * images] };
        let linear = Linear::train(&blank(300), &labels, 3).unwrap();
        assert_eq!(linear.name(&blank(4)), [2; 4]);
        assert_eq!(accuracy(&[0, 1, 2, 2], &[0, 1, 1, 2]), 0.75);
    }
}
