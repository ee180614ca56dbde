//! Repair a KL that takes the log-variance for the variance.
//!
//! An encoder returns μ and logvar = ln σ², because logvar may be any number, while a variance must be positive. For each latent
//!   KL = ½ (μ² + σ² − 1 − ln σ²).
//! The result has the shape of `mu`.

use crate::help::{Verdict, near};
use autograd::Var;
use tensor::Tensor;

pub fn kl(mu: &Var, logvar: &Var) -> Var {
    let variance = logvar; // BUG: somewhere in this function
    (mu.square() + variance - 1.0 - variance.abs().log()) * 0.5
}

pub fn check(kl: fn(&Var, &Var) -> Var) -> Verdict {
    let at = |mu: f32, logvar: f32| {
        f64::from(kl(&Var::constant(Tensor::scalar(mu)), &Var::constant(Tensor::scalar(logvar))).item())
    };
    let what =
        |mu: f32, logvar: f32| format!("the KL for μ = {mu}, logvar = {logvar}, so a variance of {:.3},", logvar.exp());
    for (mu, logvar, expected) in
        [(0.0, 0.0, 0.0), (1.0, 0.0, 0.5), (0.0, 4f32.ln(), 0.806853), (-2.0, -(4f32.ln()), 2.318147)]
    {
        near(&what(mu, logvar), at(mu, logvar), expected, 1e-4)?;
    }
    Ok(())
}
