//! The ELBO is a bound.
//!
//! Let z come from N(0, 1), and x from N(z, 1). Then x comes from N(0, 2), so log p(x) is known, which is rare. For
//! q(z) = N(m, s²), both terms of the ELBO have a closed form:
//!   E[log p(x|z)] = −½ ((x − m)² + s²) − ½ ln 2π
//!   KL(q ‖ N(0, 1)) = ½ (m² + s² − 1 − ln s²)
//! Return the ELBO. The check looks whether it is ever above log p(x), and whether it is log p(x) for the true posterior N(x/2, ½).

use crate::help::{Verdict, ensure, near};

pub fn elbo(x: f64, m: f64, s: f64) -> f64 {
    todo!("the first term minus the second")
}

pub fn check(elbo: fn(f64, f64, f64) -> f64) -> Verdict {
    let log_p = |x: f64| -x * x / 4.0 - 0.5 * (2.0 * std::f64::consts::TAU).ln();
    for x in [-2.0, 0.0, 0.5, 3.0] {
        for m in [-1.0, 0.0, x / 2.0, 2.0] {
            for s in [0.2, 0.5f64.sqrt(), 1.0, 2.0] {
                let (bound, truth) = (elbo(x, m, s), log_p(x));
                let sentence =
                    format!("for x = {x}, m = {m}, s = {s:.2} the ELBO is {bound:.3}, above log p(x) = {truth:.3}");
                ensure(bound < truth + 1e-9, sentence)?;
            }
        }
        near(&format!("the ELBO of the true posterior at x = {x}"), elbo(x, x / 2.0, 0.5f64.sqrt()), log_p(x), 1e-9)?;
    }
    Ok(())
}
