//! The total correlation of two normal latents.
//!
//! If two latents are normal with the correlation r, their total correlation is −½ ln(1 − r²). More generally, it is
//!   TC = E[log q(z₁, z₂) − log q(z₁) − log q(z₂)]
//! You get the three logarithms for many draws. Return the estimate of the TC.

use crate::help::{Verdict, near};
use tensor::Generator;

pub fn total_correlation(joint: &[f64], first: &[f64], second: &[f64]) -> f64 {
    todo!("a mean over draws")
}

pub fn check(total_correlation: fn(&[f64], &[f64], &[f64]) -> f64) -> Verdict {
    for r in [0.0, 0.5, 0.9f64] {
        let eps = Generator::new(11).normal_tensor([20_000, 2]);
        let rest = (1.0 - r * r).sqrt();
        let draws = eps.data().chunks(2).map(|e| [f64::from(e[0]), r * f64::from(e[0]) + rest * f64::from(e[1])]);
        let constant = 0.5 * std::f64::consts::TAU.ln();
        let alone = |z: f64| -0.5 * z * z - constant;
        // The density of z₂ given z₁ is N(r·z₁, 1 − r²).
        let joint = |[a, b]: [f64; 2]| alone(a) - 0.5 * ((b - r * a) / rest).powi(2) - rest.ln() - constant;
        let all: Vec<[f64; 2]> = draws.collect();
        let of = |f: &dyn Fn([f64; 2]) -> f64| all.iter().map(|z| f(*z)).collect::<Vec<_>>();
        let found = total_correlation(&of(&joint), &of(&|z| alone(z[0])), &of(&|z| alone(z[1])));
        near(&format!("the total correlation for r = {r}"), found, -0.5 * (1.0 - r * r).ln(), 0.02)?;
    }
    Ok(())
}
