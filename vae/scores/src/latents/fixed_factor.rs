//! Two scores that hold a factor fixed and ask whether the codes mu show which, both as accuracies on draws of their own:
//!
//!   β-VAE      (Higgins et al. 2017, openreview Sy2fzU9gl)  64 pairs of images that share the value of a factor v drawn at random;
//!              a linear classifier (logistic regression) tells v from the mean of |mu(x) − mu(x')|
//!   FactorVAE  (Kim and Mnih 2018, 1802.05983)  64 images that share a value of v; d* = argmin_d Var(mu_d)/Var_all(mu_d) over the
//!              active latents votes for v, and the majority's v of each d* is the classifier
//!
//! As in disentanglement_lib, but for this: the images that share a value are drawn from those that are there, not made anew, so
//! that each is encoded once.

use tensor::Generator;

use super::logistic::Classifier;
use super::{ACTIVE, variance};

/// Draws that teach a classifier, and that it is asked about.
const TAUGHT: usize = 2_000;
const ASKED: usize = 1_000;
/// Pairs, or images, of a draw.
const SIZE: usize = 64;

/// Codes, a list a latent, and for each factor the images that share each value.
pub(super) struct Shared<'a> {
    latents: &'a [Vec<f64>],
    factors: &'a [Vec<usize>],
    /// By factor and value, the images.
    alike: Vec<Vec<Vec<usize>>>,
    /// By factor, the images that are not alone with their value.
    paired: Vec<Vec<usize>>,
}

impl<'a> Shared<'a> {
    /// None if there is a factor of which no two images share a value.
    pub(super) fn new(latents: &'a [Vec<f64>], factors: &'a [Vec<usize>]) -> Option<Shared<'a>> {
        let (mut alike, mut paired) = (Vec::new(), Vec::new());
        for values in factors {
            let mut by_value = vec![Vec::new(); values.iter().max()? + 1];
            values.iter().enumerate().for_each(|(image, &value)| by_value[value].push(image));
            let in_company = (0..values.len()).filter(|&image| by_value[values[image]].len() > 1);
            paired.push(in_company.collect::<Vec<_>>());
            alike.push(by_value);
        }
        paired.iter().all(|images| !images.is_empty()).then_some(Shared { latents, factors, alike, paired })
    }

    /// An image, and the images that share its value of a factor: itself and one more at least.
    fn draw(&self, factor: usize, rng: &mut Generator) -> (usize, &[usize]) {
        let images = &self.paired[factor];
        let image = images[rng.below(images.len())];
        (image, &self.alike[factor][self.factors[factor][image]])
    }

    /// The accuracy of the β-VAE score.
    pub(super) fn beta_vae(&self, rng: &mut Generator) -> f64 {
        let mut points = |count: usize| -> (Vec<f64>, Vec<usize>) {
            let mut numbers = Vec::with_capacity(count * self.latents.len());
            let mut fixed = Vec::with_capacity(count);
            for _ in 0..count {
                let factor = rng.below(self.factors.len());
                let mut sums = vec![0.0; self.latents.len()];
                for _ in 0..SIZE {
                    let (one, alike) = self.draw(factor, rng);
                    let (last, others) = alike.split_last().expect("itself at least");
                    let other = Some(others[rng.below(others.len())]).filter(|other| *other != one).unwrap_or(*last);
                    sums.iter_mut()
                        .zip(self.latents)
                        .for_each(|(sum, codes)| *sum += (codes[one] - codes[other]).abs());
                }
                numbers.extend(sums.iter().map(|sum| sum / SIZE as f64));
                fixed.push(factor);
            }
            (numbers, fixed)
        };
        let ((seen, fixed), (unseen, truth)) = (points(TAUGHT), points(ASKED));
        let latents = self.latents.len();
        let classifier = Classifier::fit(&seen, latents, &fixed, self.factors.len());
        let told = unseen.chunks_exact(latents).map(|point| classifier.predict(point));
        told.zip(&truth).filter(|(told, truth)| told == *truth).count() as f64 / ASKED as f64
    }

    /// The accuracy of the FactorVAE score. None if no latent is active.
    pub(super) fn factor_vae(&self, rng: &mut Generator) -> Option<f64> {
        let all = self.latents.iter().map(|codes| (codes, variance(codes)));
        let active: Vec<(&Vec<f64>, f64)> = all.filter(|(_, variance)| *variance > ACTIVE).collect();
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
        let (taught, asked) = (votes(TAUGHT), votes(ASKED));
        // The first of the factors that have most votes, as NumPy's argmax.
        let majority = |votes: &Vec<usize>| (0..votes.len()).rev().max_by_key(|&factor| votes[factor]).unwrap_or(0);
        let right: usize = taught.iter().zip(&asked).map(|(taught, asked)| asked[majority(taught)]).sum();
        Some(right as f64 / ASKED as f64)
    }
}
