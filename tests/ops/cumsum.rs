//! Running sums along every dimension, and their gradients.

use reference::cumsum::cumsum;
use reference::law::{self, Within, between, draws};
use tensor::Tensor;

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(25) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 1, 6)).collect();
        let (x, dim) = ([rng.uniform_tensor(&shape[..], 0.5, 2.0)], rng.below(shape.len()));
        let what = format!("{shape:?} along {dim}");
        law::forward(&what, &x, |x| x[0].cumsum(dim), |x| cumsum(&x[0], dim), Within::Each(1e-6));
        law::gradient(&what, &x, |x| x[0].cumsum(dim), |x| cumsum(&x[0], dim));
    }
}

/// More lines than a workgroup has invocations, and lines longer than a task of the CPU.
#[test]
fn many_lines_and_long_lines_are_added_to_their_ends() {
    for (shape, dim) in [([3, 5, 401], 1), ([2, 9001, 2], 1), ([700, 3, 1], 1)] {
        let x = [Tensor::ones(shape)];
        let line = |x: &[reference::Array]| reference::build(shape, |i| (i[dim] + 1) as f64 * x[0].data[0]);
        law::forward(&format!("{shape:?}"), &x, |x| x[0].cumsum(dim), line, Within::Exact);
    }
    assert_eq!(Tensor::ones([2, 0, 3]).cumsum(1).shape()[..], [2, 0, 3]);
}

#[test]
#[should_panic(expected = "cumsum: no dimension 2 in [3, 4]")]
fn a_missing_dimension_is_refused() {
    Tensor::zeros([3, 4]).cumsum(2);
}
