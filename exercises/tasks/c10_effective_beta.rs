//! The β that a loss really has.
//!
//! The ELBO sums over pixels and over latents. Some programs take the mean over one of them, or over both, and multiply the KL by β.
//! Return the effective β: the weight of the summed KL, divided by the weight of the summed reconstruction.

use crate::help::{Verdict, near};

pub fn effective_beta(beta: f64, pixels: f64, latents: f64, mean_over_pixels: bool, mean_over_latents: bool) -> f64 {
    todo!("β, corrected for the means")
}

pub fn check(effective_beta: fn(f64, f64, f64, bool, bool) -> f64) -> Verdict {
    near("with two sums and β = 4, the effective β", effective_beta(4.0, 1024.0, 16.0, false, false), 4.0, 1e-9)?;
    near("with a mean over 1,024 pixels and β = 1, it", effective_beta(1.0, 1024.0, 16.0, true, false), 1024.0, 1e-9)?;
    near("with means over 1,024 pixels and 16 latents, it", effective_beta(1.0, 1024.0, 16.0, true, true), 64.0, 1e-9)?;
    near("with a mean over 16 latents only, it", effective_beta(1.0, 1024.0, 16.0, false, true), 1.0 / 16.0, 1e-9)
}
