//! PyTorch's default initialisation: weights and biases uniform in ±1/√fan_in (its Kaiming rule with a = √5 is the same).
//! fan_in is the product of all sizes of the weight except the first. For a transposed convolution, whose weight is
//! [in, out, kh, kw], that is out·kh·kw.

use autograd::Param;
use tensor::{Generator, Shape};

/// A weight, and a bias of `out` numbers.
pub(crate) fn weight_and_bias(rng: &mut Generator, shape: impl Into<Shape>, out: usize) -> (Param, Param) {
    let shape = shape.into();
    let fan_in: usize = shape[1..].iter().product();
    let bound = 1.0 / (fan_in.max(1) as f32).sqrt();
    let weight = Param::new(rng.uniform_tensor(shape, -bound, bound));
    (weight, Param::new(rng.uniform_tensor([out], -bound, bound)))
}
