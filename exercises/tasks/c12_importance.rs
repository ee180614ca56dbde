//! The bound of several draws.
//!
//!   log (1/K) Σ_k w_k,    w_k = p(x|z_k)·p(z_k)/q(z_k|x)
//!
//! `log_w` is [images, K] and holds ln w. Return the bound of each image, [images]. The weights may be as small as e⁻¹⁰⁰⁰, so do not compute w.

use crate::help::{Verdict, ensure, near};
use tensor::{Generator, Tensor};

pub fn bound(log_w: &Tensor) -> Tensor {
    todo!("the logarithm of a mean, from logarithms")
}

pub fn check(bound: fn(&Tensor) -> Tensor) -> Verdict {
    let one = |numbers: &[f32]| f64::from(bound(&Tensor::new(numbers, [1, numbers.len()])).data()[0]);
    near("the bound of one draw", one(&[-3.0]), -3.0, 1e-5)?;
    near("the bound of two equal draws", one(&[-3.0, -3.0]), -3.0, 1e-5)?;
    near("the bound for the weights 1 and 3", one(&[0.0, 3f32.ln()]), 2f64.ln(), 1e-5)?;
    near("the bound for weights of e⁻¹⁰⁰⁰", one(&[-1000.0, -1000.0]), -1000.0, 1e-2)?;
    let log_w = Generator::new(1).normal_tensor([2000, 16]);
    let mean = |k: usize| bound(&log_w.slice(1, 0, k)).mean_all().item();
    ensure(mean(1) < mean(4) && mean(4) < mean(16), "the bound does not rise with the number of draws")
}
