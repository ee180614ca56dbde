//! An expectation from draws, and how far to trust it.
//!
//! The mean of f over n random draws estimates the expectation of f. Return [mean, standard error]. The standard error is s/√n, where
//! s² = Σ (valueᵢ − mean)² / (n − 1). About two thirds of all estimates lie within one standard error of the truth.

use crate::help::{Verdict, ensure, near};
use tensor::Generator;

pub fn mean_and_error(values: &[f64]) -> [f64; 2] {
    todo!("the mean, and s/√n")
}

pub fn check(mean_and_error: fn(&[f64]) -> [f64; 2]) -> Verdict {
    let [mean, error] = mean_and_error(&[1.0, 3.0]);
    near("the mean of 1 and 3", mean, 2.0, 1e-9)?;
    near("the standard error of 1 and 3", error, 1.0, 1e-9)?;
    // E[z²] = 1 for z from N(0, 1). Of 200 estimates, about 136 should be nearer than one standard error.
    let estimate = |seed: u64| {
        let z = Generator::new(seed).normal_tensor([400]);
        mean_and_error(&z.data().iter().map(|z| f64::from(z * z)).collect::<Vec<_>>())
    };
    let within = (0..200).map(estimate).filter(|[mean, error]| (mean - 1.0).abs() < *error).count();
    ensure(
        (120..=150).contains(&within),
        format!("{within} of 200 estimates are within one standard error; expected 136"),
    )
}
