//! Repair an estimator without its constants.
//!
//! q(z) is the mean of the posteriors of all images: q(z) = (1/N) Σ_j q(z|image j). Row i of `log_densities` [N, N] holds
//! log q(zᵢ|image j) for all j. Return log q(zᵢ) for each i. `logsumexp(1)` computes ln Σ_j e^(…) of each row. A published table has this bug,
//! and therefore total correlations of −61 nats (`docs/theory/total-correlation.md`).

use crate::help::{Verdict, ensure, near};
use tensor::{Generator, Tensor};

pub fn log_q(log_densities: &Tensor) -> Tensor {
    log_densities.logsumexp(1) // BUG: somewhere in this function
}

pub fn check(log_q: fn(&Tensor) -> Tensor) -> Verdict {
    // Four latents of 64 images. All posteriors are N(0, I), so the latents are independent and the total correlation is 0.
    let (n, latents) = (64, 4);
    let z = Generator::new(1).normal_tensor([n, latents]);
    let log_density = (z.square() + std::f32::consts::TAU.ln()) * -0.5; // [n, latents], the same for every image j
    let all = |of_draw: Tensor| log_q(&of_draw.reshape([n, 1]).expand([n, n]));
    let mut tc = all(log_density.sum(&[1], false));
    for d in 0..latents {
        tc = tc - all(log_density.at((.., d)));
    }
    let tc = f64::from(tc.mean_all().item());
    ensure(tc > -1e-3, format!("the total correlation is {tc:.2} nats, but it is a KL, and a KL is never negative"))?;
    near("the total correlation of independent latents", tc, 0.0, 1e-3)?;
    let one = log_q(&Tensor::zeros([n, n]));
    near("log q where every posterior has the density 1", f64::from(one.data()[0]), 0.0, 1e-4)
}
