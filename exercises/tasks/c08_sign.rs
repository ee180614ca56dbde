//! Repair a loss with a wrong sign.
//!
//! The ELBO is E[log p(x|z)] − KL. It is to be *maximised*. A training loop *minimises* a loss. `log_likelihood` is log p(x|z), and `kl` is the KL,
//! both averaged over images.

use crate::help::{Verdict, ensure, near};
use autograd::Var;
use tensor::Tensor;

pub fn loss(log_likelihood: &Var, kl: &Var) -> Var {
    -log_likelihood - kl // BUG: somewhere in this function
}

pub fn check(loss: fn(&Var, &Var) -> Var) -> Verdict {
    let at = |log_likelihood: f32, kl: f32| {
        loss(&Var::constant(Tensor::scalar(log_likelihood)), &Var::constant(Tensor::scalar(kl))).item()
    };
    ensure(at(-90.0, 10.0) < at(-100.0, 10.0), "an image that is explained better has a higher loss")?;
    let sentence = "a posterior farther from the prior has a lower loss, so training would push it away without end";
    ensure(at(-100.0, 20.0) > at(-100.0, 10.0), sentence)?;
    near("the loss for log p(x|z) = −100 and a KL of 10", f64::from(at(-100.0, 10.0)), 110.0, 1e-3)
}
