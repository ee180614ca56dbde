//! Hint: The mean image is the mean along dimension 0. `(a - b).square().sum_all().item()` is a sum of squares as an f32.

use tensor::Tensor;

pub fn r2(guess: &Tensor, x: &Tensor) -> f32 {
    let error = |guess: &Tensor| (guess - x).square().sum_all().item();
    1.0 - error(guess) / error(&x.mean(&[0], true))
}
