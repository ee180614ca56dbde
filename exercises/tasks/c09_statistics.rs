//! Repair a training step that leaves the running statistics frozen.
//!
//! Batch norm subtracts the mean and divides by the standard deviation of each channel. In training these are the batch's, and the
//! layer updates its running statistics, which evaluation uses later. The context tells the layer which of the two it is.

use crate::help::{Verdict, near};
use autograd::Var;
use nn::{BatchNorm2d, ForwardContext, Layer};
use tensor::Generator;

/// The forward pass of training step `step`.
pub fn training_pass(norm: &BatchNorm2d, x: &Var, step: u64) -> Var {
    norm.forward(x, &ForwardContext::eval()) // BUG: somewhere in this function
}

pub fn check(training_pass: fn(&BatchNorm2d, &Var, u64) -> Var) -> Verdict {
    // Pixels with the mean 5 and the standard deviation 2.
    let (norm, mut rng) = (BatchNorm2d::new(1), Generator::new(1));
    for step in 0..100 {
        let x = Var::constant(rng.normal_tensor([8, 1, 4, 4]) * 2.0 + 5.0);
        training_pass(&norm, &x, step);
    }
    let x = Var::constant(rng.normal_tensor([64, 1, 4, 4]) * 2.0 + 5.0);
    let y = norm.forward(&x, &ForwardContext::eval());
    let what = "after 100 training steps, the running statistics are used; the mean of what should be normalised";
    near(what, f64::from(y.value().mean_all().item()), 0.0, 0.2)?;
    near("its mean square", f64::from(y.value().square().mean_all().item()), 1.0, 0.2)
}
