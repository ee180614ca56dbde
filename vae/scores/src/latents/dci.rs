//! Disentanglement, completeness and informativeness (Eastwood and Williams 2018, openreview By-7dz-AZ).
//!
//! A regressor predicts each factor v from all latents d. R_dv ≥ 0 is the importance of latent d for factor v, with Σ_d
//! R_dv = 1. H_b is the entropy to base b of numbers that are divided by their sum. With F factors and z latents:
//!
//!   disentanglement = Σ_d ρ_d·(1 − H_F(R_d·)),   ρ_d = Σ_v R_dv / Σ R        1: each latent represents one factor
//!   completeness    = Σ_v ρ_v·(1 − H_z(R_·v)),   ρ_v = Σ_d R_dv / Σ R        1: one latent represents each factor
//!   informativeness = mean_v max(0, R²_v) on images not used in training the regressor     1: the latents determine all factors
//!
//! The regressor is the paper's second one, a random forest (`forest`). R_dv is the importance of latent d in the
//! forest of factor v. disentanglement_lib instead uses boosted trees and their accuracy. As there, the entropies are
//! those of R + 1e-11.

use super::forest::Forest;
use super::variance;

/// The scores.
#[derive(Clone, Debug)]
pub(super) struct Dci {
    pub(super) disentanglement: f64,
    pub(super) completeness: f64,
    /// 1 − H_F of each latent, and 1 − H_z of each factor.
    pub(super) by_latent: Vec<f64>,
    pub(super) by_factor: Vec<f64>,
    /// R² of each factor; a negative R² is replaced by 0.
    pub(super) informativeness: Vec<f64>,
}

/// Computes the scores. `latents` has a list of codes for each latent and `factors` a list of values for each factor,
/// both with one number per image. The first two thirds of the images train the regressors, and the rest test them.
pub(super) fn scores(latents: &[Vec<f64>], factors: &[Vec<usize>]) -> Dci {
    let count = factors[0].len();
    let taught = count - count / 3;
    let part = |from: usize, to: usize| latents.iter().map(|codes| &codes[from..to]).collect::<Vec<&[f64]>>();
    let (seen, unseen) = (part(0, taught), part(taught, count));
    let mut importances = Vec::new();
    let mut informativeness = Vec::new();
    for values in factors {
        let values: Vec<f64> = values.iter().map(|&value| value as f64).collect();
        let forest = Forest::fit(&seen, &values[..taught]);
        let guesses: Vec<f64> = (0..count - taught).map(|image| forest.predict(&unseen, image)).collect();
        importances.push(forest.importances);
        let errors = values[taught..].iter().zip(&guesses).map(|(value, guess)| (value - guess).powi(2));
        let error = errors.sum::<f64>() / guesses.len() as f64;
        informativeness.push((1.0 - error / variance(&values[taught..]).max(1e-12)).max(0.0));
    }
    of_importances(&importances, informativeness)
}

/// Computes the scores from R, `[factors][latents]`, and the R² of each factor.
fn of_importances(importances: &[Vec<f64>], informativeness: Vec<f64>) -> Dci {
    let latents = importances[0].len();
    let of_latent = |d: usize| importances.iter().map(|of_factor| of_factor[d]).collect::<Vec<f64>>();
    let transposed: Vec<Vec<f64>> = (0..latents).map(of_latent).collect();
    let weighted = |rows: &[Vec<f64>], sharpness: &[f64]| {
        let sums: Vec<f64> = rows.iter().map(|row| row.iter().sum()).collect();
        let all: f64 = sums.iter().sum();
        let shares = sums.iter().map(|sum| if all > 0.0 { sum / all } else { 1.0 / sums.len() as f64 });
        shares.zip(sharpness).map(|(share, sharp)| share * sharp).sum()
    };
    let by_latent: Vec<f64> = transposed.iter().map(|row| sharpness(row)).collect();
    let by_factor: Vec<f64> = importances.iter().map(|row| sharpness(row)).collect();
    Dci {
        disentanglement: weighted(&transposed, &by_latent),
        completeness: weighted(importances, &by_factor),
        by_latent,
        by_factor,
        informativeness,
    }
}

/// Returns 1 − the entropy of some numbers, to the base of their count: 1 if all but one are 0, and 0 if they are equal.
fn sharpness(x: &[f64]) -> f64 {
    if x.len() < 2 {
        return 1.0;
    }
    let sum: f64 = x.iter().map(|x| x + 1e-11).sum();
    let entropy: f64 = x.iter().map(|x| (x + 1e-11) / sum).map(|p| -p * p.ln()).sum();
    1.0 - entropy / (x.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code says in which half a value of 0 … 3 is, so it explains 1 of the variance of 1.25.
    #[test]
    fn informativeness_is_the_explained_part_of_the_variance() {
        let values: Vec<usize> = tensor::Generator::new(2).permutation(240).iter().map(|i| i % 4).collect();
        let code: Vec<f64> = values.iter().map(|value| (value / 2) as f64).collect();
        let dci = scores(&[code], &[values]);
        assert!((dci.informativeness[0] - 0.8).abs() < 0.05, "{:?}", dci.informativeness);
    }

    #[test]
    fn entropies_are_those_of_rows_and_columns() {
        // Two factors and three latents. One latent represents the first factor; two latents represent the second
        // factor equally.
        let dci = of_importances(&[vec![1.0, 0.0, 0.0], vec![0.0, 0.5, 0.5]], vec![1.0, 0.5]);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-8, "{a} {b}");
        near(dci.disentanglement, 1.0);
        near(dci.by_factor[0], 1.0);
        near(dci.by_factor[1], 1.0 - 2_f64.ln() / 3_f64.ln());
        near(dci.completeness, (dci.by_factor[0] + dci.by_factor[1]) / 2.0);
        // A latent that is equally important for both factors is not disentangled. Its weight is its share of the
        // importance.
        let dci = of_importances(&[vec![0.5, 0.5], vec![0.5, 0.5]], vec![0.0; 2]);
        near(dci.disentanglement, 0.0);
        let dci = of_importances(&[vec![0.9, 0.1], vec![0.9, 0.1], vec![0.9, 0.1]], vec![0.0; 3]);
        near(dci.by_latent[0], 0.0);
        near(dci.completeness, 1.0 + (0.9 * 0.9_f64.ln() + 0.1 * 0.1_f64.ln()) / 2_f64.ln());
        assert_eq!(of_importances(&[vec![0.0]], vec![0.0]).completeness, 1.0);
        near(of_importances(&[vec![0.0], vec![0.0]], vec![0.0; 2]).completeness, 1.0);
        near(sharpness(&[0.0, 0.0]), 0.0);
        // Printed by `python tests/oracle/factors.py`.
        let dci = of_importances(&[vec![0.7, 0.2, 0.1], vec![0.1, 0.3, 0.6]], vec![0.0; 2]);
        near(dci.disentanglement, 0.332751101582335);
        near(dci.completeness, 0.22640393933119243);
    }
}
