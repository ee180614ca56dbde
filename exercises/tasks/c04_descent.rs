//! One step of gradient descent.
//!
//! The gradient points to where the loss rises fastest. Return the weights after a step in the opposite direction. The length of
//! the step is the learning rate times the gradient.

use crate::help::{Verdict, ensure};
use tensor::Tensor;

pub fn descend(weights: &Tensor, gradient: &Tensor, learning_rate: f32) -> Tensor {
    todo!("the weights after one step")
}

pub fn check(descend: fn(&Tensor, &Tensor, f32) -> Tensor) -> Verdict {
    // The loss Σ (w − 1)² has the gradient 2·(w − 1), and its lowest point at w = 1.
    let loss = |w: &Tensor| (w - 1.0).square().sum_all().item();
    let start = Tensor::new(&[4.0, -2.0, 0.0], [3]);
    let mut w = start.clone();
    for _ in 0..20 {
        let gradient = (&w - 1.0) * 2.0;
        w = descend(&w, &gradient, 0.1);
    }
    let (before, after) = (loss(&start), loss(&w));
    ensure(after < before, format!("the loss rises, from {before:.2} to {after:.2}: the step goes the wrong way"))?;
    let sentence =
        format!("after 20 steps the loss is {after:.4}; it should be 0.0025. Is the step too short or too long?");
    ensure((after - 0.0025).abs() < 1e-3, sentence)
}
