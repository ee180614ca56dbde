//! The separated attribute predictability (Kumar, Sattigeri and Balakrishnan 2018, 1711.00848, section 3), a mean over factors v:
//!
//!   SAP = mean_v [ S_(1) − S_(2) ],   S_dv = Cov(mu_d, v)² / (Var(mu_d)·Var(v))
//!
//! the two largest of the latents: how much better a line through one latent predicts the factor than one through another.
//! Factors count as numbers, the shape too: disentanglement_lib with `continuous_factors`. A latent of Var(mu) ≤ 1e-12 has S = 0.

use super::{lead, mean};

/// The lead of each factor. Each latent and each factor has a number an image; a factor takes two values at least.
pub(super) fn leads(latents: &[Vec<f64>], factors: &[Vec<usize>]) -> Vec<f64> {
    let lead_of = |values: &Vec<usize>| {
        let values: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        lead(latents.iter().map(|codes| squared_correlation(codes, &values)))
    };
    factors.iter().map(lead_of).collect()
}

fn squared_correlation(codes: &[f64], values: &[f64]) -> f64 {
    let centres = [mean(codes), mean(values)];
    let mut sums = [0.0; 3];
    for (code, value) in codes.iter().zip(values) {
        let [code, value] = [code - centres[0], value - centres[1]];
        [sums[0], sums[1], sums[2]] = [sums[0] + code * code, sums[1] + value * value, sums[2] + code * value];
    }
    let [code, value, both] = sums.map(|sum| sum / (codes.len() - 1) as f64);
    if code > 1e-12 { both * both / (code * value) } else { 0.0 }
}
