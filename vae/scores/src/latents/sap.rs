//! The separated attribute predictability, SAP (Kumar, Sattigeri and Balakrishnan 2018, 1711.00848, section 3), a mean
//! over the factors v:
//!
//!   SAP = mean_v [ S_(1) − S_(2) ],   S_dv = Cov(mu_d, v)² / (Var(mu_d)·Var(v))
//!
//! where S_(1) and S_(2) are the two largest S_dv among the latents d. The score is how much better a linear regression
//! on one latent predicts the factor than a regression on any other latent. All factors, also the shape, are treated as
//! numbers, as in disentanglement_lib with `continuous_factors`. A latent with Var(mu) ≤ 1e-12 has S = 0.

use super::{lead, mean};

/// Returns S_(1) − S_(2) of each factor. Each latent and each factor has one number per image. A factor must have at
/// least two values.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The variances of the two latents, divided by n − 1, are ¾ and 4/3 of 1e-12.
    #[test]
    fn a_latent_of_almost_no_variance_has_no_correlation() {
        let scaled = |by: f64| [0.0, by, 0.0, by];
        let values = [0.0, 1.0, 0.0, 1.0];
        assert_eq!(squared_correlation(&scaled(1.5e-6), &values), 0.0);
        assert_eq!(squared_correlation(&[-1e-6, 0.0, 1e-6], &[-1.0, 0.0, 1.0]), 0.0, "a variance of 1e-12 exactly");
        assert!((squared_correlation(&scaled(2e-6), &values) - 1.0).abs() < 1e-9);
        assert_eq!(squared_correlation(&scaled(1.0), &[0.0, 0.0, 1.0, 1.0]), 0.0);
    }
}
