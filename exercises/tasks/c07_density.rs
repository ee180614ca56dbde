//! The logarithm of the normal density.
//!
//!   ln N(x; μ, σ²) = −(x − μ)²/(2σ²) − ln σ − ½ ln 2π
//!
//! The check adds up the density over a fine grid. The area under a density is 1, so a forgotten constant is noticed.

use crate::help::{Verdict, ensure, near};

pub fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    todo!("three terms")
}

pub fn check(log_normal: fn(f64, f64, f64) -> f64) -> Verdict {
    for (mean, sigma) in [(0.0, 1.0), (2.0, 1.0), (0.0, 0.5), (-1.0, 3.0)] {
        let step = 0.01;
        let area: f64 = (-3000..3000).map(|i| log_normal(f64::from(i) * step, mean, sigma).exp() * step).sum();
        near(&format!("the area under N({mean}, {sigma}²)"), area, 1.0, 1e-3)?;
        let (top, side) = (log_normal(mean, mean, sigma), log_normal(mean + sigma, mean, sigma));
        ensure(
            (top - side - 0.5).abs() < 1e-9,
            format!("one σ from the mean, ln N falls by {:.4} instead of ½", top - side),
        )?;
    }
    Ok(())
}
