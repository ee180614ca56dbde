//! Adam, from its formula.
//!
//! For one weight w with the gradient g, at step t = 1, 2, 3, …:
//!   m ← β₁·m + (1 − β₁)·g        a running mean of the gradient
//!   v ← β₂·v + (1 − β₂)·g²       a running mean of its square
//!   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)      corrects for starting at 0
//!   w ← w − rate · m̂ / (√v̂ + ε)
//! with β₁ = 0.9, β₂ = 0.999, ε = 1e-8. `state` holds [m, v] and is to be updated. Return the new w.

use crate::help::{Verdict, near};
use autograd::Param;
use nn::optim::Optimizer;
use tensor::Tensor;

pub fn adam(w: f64, gradient: f64, state: &mut [f64; 2], t: i32, rate: f64) -> f64 {
    todo!("update state, and return the new w")
}

pub fn check(adam: fn(f64, f64, &mut [f64; 2], i32, f64) -> f64) -> Verdict {
    // The library's Adam and yours minimise (w − 3)², from w = 0.
    let param = Param::new(Tensor::scalar(0.0));
    let params = [("w".to_owned(), param.clone())];
    let mut theirs = Optimizer::adam();
    let (mut w, mut state) = (0.0, [0.0; 2]);
    for t in 1..=40 {
        let mut gradients = (param.var() - 3.0).square().sum_all().backward();
        theirs.step(&params, &mut gradients, 0.1);
        w = adam(w, 2.0 * (w - 3.0), &mut state, t, 0.1);
        near(&format!("w after step {t}"), w, f64::from(param.value().item()), 1e-3)?;
    }
    // ε is added to the root: it decides steps with tiny gradients.
    near("w = 1 after a first step with the gradient 0", adam(1.0, 0.0, &mut [0.0; 2], 1, 0.1), 1.0, 1e-9)?;
    near("w = 0 after a first step with the gradient 1e-8", adam(0.0, 1e-8, &mut [0.0; 2], 1, 0.1), -0.05, 1e-6)
}
