//! Two scores that draw a factor v at random, keep it fixed, and predict from the codes mu which factor it is. Both are
//! accuracies on draws that were not used in training the classifier.
//!
//! - β-VAE (Higgins et al. 2017, openreview Sy2fzU9gl): 64 pairs of images are drawn. The two images of a pair have the
//!   same value of v. A linear classifier (logistic regression) predicts v from the mean of |mu(x) − mu(x')| over the
//!   pairs.
//! - FactorVAE (Kim and Mnih 2018, 1802.05983): 64 images with one value of v are drawn. The latent d* = argmin_d
//!   Var(mu_d)/Var_all(mu_d), among the active latents, votes for v. The classifier predicts the factor with the most
//!   votes for d*.
//!
//! Both follow disentanglement_lib, except that images are drawn from the test images, not generated for each draw, so that each
//! image is encoded once; that there are fewer draws; and that a latent is active if its variance is above 0.01 (`is_active`).

use tensor::Generator;

use super::logistic::Classifier;
use super::{is_active, mean, variance};

/// The number of draws that train a classifier, and the number of draws that test it.
const TRAIN_DRAWS: usize = 2_000;
const TEST_DRAWS: usize = 1_000;
/// The number of pairs or images of a draw.
const SIZE: usize = 64;

/// The codes and factors of images, and the images grouped by the value of each factor.
pub(super) struct FactorGroups<'a> {
    latents: &'a [Vec<f64>],
    factors: &'a [Vec<usize>],
    /// For each factor and each of its values, the images with this value.
    groups: Vec<Vec<Vec<usize>>>,
    /// For each factor, the images whose value another image has as well.
    paired: Vec<Vec<usize>>,
}

impl<'a> FactorGroups<'a> {
    /// Groups the images. `latents` and `factors` have a list for each latent and each factor, with one number per
    /// image. Returns `None` if there is a factor of which no two images have the same value.
    pub(super) fn new(latents: &'a [Vec<f64>], factors: &'a [Vec<usize>]) -> Option<FactorGroups<'a>> {
        let (mut groups, mut paired) = (Vec::new(), Vec::new());
        for values in factors {
            let mut by_value = vec![Vec::new(); values.iter().max()? + 1];
            values.iter().enumerate().for_each(|(image, &value)| by_value[value].push(image));
            let repeated = (0..values.len()).filter(|&image| by_value[values[image]].len() > 1);
            paired.push(repeated.collect::<Vec<_>>());
            groups.push(by_value);
        }
        paired.iter().all(|images| !images.is_empty()).then_some(FactorGroups { latents, factors, groups, paired })
    }

    /// Draws an image. Returns it, and all images with the same value of a factor, which are itself and at least one
    /// more.
    fn draw(&self, factor: usize, rng: &mut Generator) -> (usize, &[usize]) {
        let images = &self.paired[factor];
        let image = images[rng.below(images.len())];
        (image, &self.groups[factor][self.factors[factor][image]])
    }

    /// Returns the β-VAE score.
    pub(super) fn beta_vae(&self, rng: &mut Generator) -> f64 {
        let mut points = |count: usize| -> (Vec<f64>, Vec<usize>) {
            let (mut numbers, mut fixed) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let factor = rng.below(self.factors.len());
                let mut pair = || {
                    let (one, alike) = self.draw(factor, rng);
                    let (last, others) = alike.split_last().expect("itself at least");
                    let other = Some(others[rng.below(others.len())]).filter(|other| *other != one).unwrap_or(*last);
                    [one, other]
                };
                let pairs: [[usize; 2]; SIZE] = std::array::from_fn(|_| pair());
                let distances = |codes: &Vec<f64>| pairs.map(|[one, other]| (codes[one] - codes[other]).abs());
                numbers.extend(self.latents.iter().map(|codes| mean(&distances(codes))));
                fixed.push(factor);
            }
            (numbers, fixed)
        };
        let ((seen, fixed), (unseen, truth)) = (points(TRAIN_DRAWS), points(TEST_DRAWS));
        let latents = self.latents.len();
        let classifier = Classifier::fit(&seen, latents, &fixed, self.factors.len());
        let predicted = unseen.chunks_exact(latents).map(|point| classifier.predict(point));
        predicted.zip(&truth).filter(|(predicted, truth)| predicted == *truth).count() as f64 / TEST_DRAWS as f64
    }

    /// Returns the FactorVAE score, or `None` if no latent is active.
    pub(super) fn factor_vae(&self, rng: &mut Generator) -> Option<f64> {
        let all = self.latents.iter().map(|codes| (codes, variance(codes)));
        let active: Vec<(&Vec<f64>, f64)> = all.filter(|(_, variance)| is_active(*variance)).collect();
        if active.is_empty() {
            return None;
        }
        let mut votes = |count: usize| {
            let mut votes = vec![vec![0_usize; self.factors.len()]; active.len()];
            for _ in 0..count {
                let factor = rng.below(self.factors.len());
                let (_, alike) = self.draw(factor, rng);
                let images: Vec<usize> = (0..SIZE).map(|_| alike[rng.below(alike.len())]).collect();
                let share = active
                    .iter()
                    .map(|(codes, all)| variance(&images.iter().map(|&image| codes[image]).collect::<Vec<_>>()) / all);
                let shares: Vec<f64> = share.collect();
                let least = (0..shares.len()).min_by(|&a, &b| shares[a].total_cmp(&shares[b]));
                votes[least.expect("a latent is active")][factor] += 1;
            }
            votes
        };
        let (train, test) = (votes(TRAIN_DRAWS), votes(TEST_DRAWS));
        // If several factors have the most votes, the first of them, as in NumPy's argmax.
        let majority = |votes: &Vec<usize>| (0..votes.len()).rev().max_by_key(|&factor| votes[factor]).unwrap_or(0);
        let right: usize = train.iter().zip(&test).map(|(train, test)| test[majority(train)]).sum();
        Some(right as f64 / TEST_DRAWS as f64)
    }
}
