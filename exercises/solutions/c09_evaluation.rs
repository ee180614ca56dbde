//! Hint: An `if` is an expression in Rust: `if training { … } else { … }`. A tensor is copied with `clone()`.

use tensor::Tensor;

pub fn code(mu: &Tensor, logvar: &Tensor, eps: &Tensor, training: bool) -> Tensor {
    if training { mu + (logvar * 0.5).exp() * eps } else { mu.clone() }
}
