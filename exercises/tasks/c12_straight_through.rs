//! A gradient through a choice.
//!
//! Choosing the nearest code has no useful derivative: it is 0 almost everywhere. The straight-through estimator uses the chosen code as the
//! value, and passes the gradient on to z as if nothing had been chosen. `chosen` is [n, d], like z.

use crate::help::{Verdict, same};
use autograd::Var;
use tensor::Tensor;

pub fn straight_through(z: &Var, chosen: &Tensor) -> Var {
    todo!("the value of chosen, the gradient of z")
}

pub fn check(straight_through: fn(&Var, &Tensor) -> Var) -> Verdict {
    let z = Var::leaf(Tensor::new(&[0.4, -1.2], [1, 2]));
    let chosen = Tensor::new(&[1.0, -1.0], [1, 2]);
    let y = straight_through(&z, &chosen);
    same("the value", y.value(), &chosen, 1e-6)?;
    let gradients = y.square().sum_all().backward();
    let found = gradients.of(&z).cloned().ok_or("z gets no gradient, so the encoder would learn nothing")?;
    same("the gradient of Σ y² with respect to z", &found, &Tensor::new(&[2.0, -2.0], [1, 2]), 1e-5)
}
