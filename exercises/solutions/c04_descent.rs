//! Hint: New weights = old weights − learning rate · gradient.

use tensor::Tensor;

pub fn descend(weights: &Tensor, gradient: &Tensor, learning_rate: f32) -> Tensor {
    weights - gradient * learning_rate
}
