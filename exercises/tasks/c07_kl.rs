//! The Kullback–Leibler divergence of two lists of probabilities.
//!
//!   KL(q ‖ p) = Σ_i q[i]·ln(q[i] / p[i])
//!
//! What never happens under q adds nothing: 0·ln 0 counts as 0. In Rust, as in Python, 0.0 times −∞ is not 0 but NaN.

use crate::help::{Verdict, ensure, near};

pub fn kl(q: &[f64], p: &[f64]) -> f64 {
    todo!("a sum, in which terms with q = 0 count as 0")
}

pub fn check(kl: fn(&[f64], &[f64]) -> f64) -> Verdict {
    near("KL of a list from itself", kl(&[0.2, 0.8], &[0.2, 0.8]), 0.0, 1e-12)?;
    near("KL([1, 0] ‖ [½, ½])", kl(&[1.0, 0.0], &[0.5, 0.5]), 2f64.ln(), 1e-12)?;
    let (there, back) = (kl(&[0.9, 0.1], &[0.5, 0.5]), kl(&[0.5, 0.5], &[0.9, 0.1]));
    near("KL([0.9, 0.1] ‖ [½, ½])", there, 0.368064, 1e-5)?;
    near("KL([½, ½] ‖ [0.9, 0.1])", back, 0.510826, 1e-5)?;
    let impossible = kl(&[0.5, 0.5], &[1.0, 0.0]);
    ensure(
        impossible == f64::INFINITY,
        format!("KL([½, ½] ‖ [1, 0]) is {impossible}: p excludes what q does, so it is infinite"),
    )
}
