//! The central difference.
//!
//! Return an estimate of f′(x) from two values of f, one at x + h and one at x − h. The one-sided difference
//! (f(x + h) − f(x)) / h is refused, because its error is much larger.

use crate::help::{Verdict, ensure};

pub fn central_difference(f: &dyn Fn(f64) -> f64, x: f64, h: f64) -> f64 {
    todo!("how much f rises from x − h to x + h, per unit of x")
}

pub fn check(central_difference: fn(&dyn Fn(f64) -> f64, f64, f64) -> f64) -> Verdict {
    let h = 1e-3;
    let line = central_difference(&|x| 3.0 * x + 1.0, 2.0, h);
    ensure((line - 3.0).abs() < 1e-9, format!("for the line 3x + 1 it gives {line:.6} instead of 3"))?;
    let cube = central_difference(&|x| x.powi(3), 1.0, h);
    let error = (cube - 3.0).abs();
    let sentence =
        format!("for x³ at 1 the error is {error:.1e}; a central difference with h = 1e-3 has one of 1.0e-6");
    ensure(error < 2e-6, sentence)
}
