//! Hint: `ForwardContext::train(seed, step)` is the context of a training step. Nothing here uses the seed.

use autograd::Var;
use nn::{BatchNorm2d, ForwardContext, Layer};

pub fn training_pass(norm: &BatchNorm2d, x: &Var, step: u64) -> Var {
    norm.forward(x, &ForwardContext::train(1, step))
}
