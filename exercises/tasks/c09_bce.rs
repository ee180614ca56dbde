//! A cross-entropy that never takes the logarithm of 0.
//!
//! For a logit l and a pixel x in [0, 1]:   bce = −x·ln σ(l) − (1 − x)·ln(1 − σ(l)) = ln(1 + eˡ) − x·l
//! The second form is better, but eˡ is infinite for l = 1000. Find a form that works for every l.

use crate::help::{Verdict, ensure, near};

pub fn bce(logit: f64, x: f64) -> f64 {
    todo!("ln(1 + eˡ) − x·l, without overflow")
}

pub fn check(bce: fn(f64, f64) -> f64) -> Verdict {
    for (logit, x) in [(0.0, 0.3), (2.0, 1.0), (-3.0, 0.0), (1.5, 0.5)] {
        let p: f64 = 1.0 / (1.0 + f64::exp(-logit));
        let expected = -x * p.ln() - (1.0 - x) * (1.0 - p).ln();
        near(&format!("the bce of logit {logit} and pixel {x}"), bce(logit, x), expected, 1e-9)?;
    }
    for (logit, x, expected) in [(1000.0, 1.0, 0.0), (1000.0, 0.0, 1000.0), (-1000.0, 0.0, 0.0), (-1000.0, 1.0, 1000.0)]
    {
        let got = bce(logit, x);
        ensure(got.is_finite(), format!("the bce of logit {logit} and pixel {x} is {got}, but should be {expected}"))?;
        near(&format!("the bce of logit {logit} and pixel {x}"), got, expected, 1e-6)?;
    }
    Ok(())
}
