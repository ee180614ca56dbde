//! Repair a reconstruction that draws in evaluation.
//!
//! In training, z = μ + σ·ε is a draw from the posterior. To reconstruct an image, or to compare codes of two images, use the
//! posterior's mean: z = μ. Otherwise the same image has another code each time, and scores are worse than they need to be.

use crate::help::{Verdict, ensure, same};
use tensor::{Generator, Tensor};

pub fn code(mu: &Tensor, logvar: &Tensor, eps: &Tensor, training: bool) -> Tensor {
    mu + (logvar * 0.5).exp() * eps // BUG: somewhere in this function
}

pub fn check(code: fn(&Tensor, &Tensor, &Tensor, bool) -> Tensor) -> Verdict {
    let mut rng = Generator::new(1);
    let (mu, logvar) = (rng.normal_tensor([3, 2]), rng.normal_tensor([3, 2]));
    let [a, b] = [rng.normal_tensor([3, 2]), rng.normal_tensor([3, 2])];
    let differ = |training| code(&mu, &logvar, &a, training).data() != code(&mu, &logvar, &b, training).data();
    ensure(differ(true), "in training there is no noise any more; the model would become an autoencoder")?;
    ensure(!differ(false), "in evaluation, the same image has two different codes")?;
    same("the code in evaluation", &code(&mu, &logvar, &a, false), &mu, 1e-6)
}
