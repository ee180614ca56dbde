//! Variances, and layer and group norms, against their formulas in f64.

use autograd::Var;
use reference::law::{self, Within, between, draws};
use reference::reduce::{mean, var};
use reference::{Array, binary, map};
use tensor::Tensor;

/// (x − μ)/√(σ² + ε) over these dimensions.
fn normalised(x: &Array, dims: &[usize], eps: f64) -> Array {
    let centred = binary::broadcast(x, &mean(x, dims, true), |x, mean| x - mean);
    binary::broadcast(&centred, &var(x, dims, 0, true), |x, var| x / (var + eps).sqrt())
}

/// w·y + b.
fn affine(y: &Array, w: &Array, b: &Array) -> Array {
    binary::broadcast(&binary::broadcast(y, w, |y, w| y * w), b, |y, b| y + b)
}

fn reshaped(x: &Array, sizes: &[usize]) -> Array {
    Array::new(sizes, x.data.clone())
}

#[test]
fn variances_match_the_reference() {
    for mut rng in draws(20) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 2, 5)).collect();
        let dims = rng.permutation(shape.len())[..between(&mut rng, 1, shape.len())].to_vec();
        let (correction, keepdim) = (rng.below(2), rng.below(2) == 0);
        let x = [rng.normal_tensor(&shape[..])];
        let what = format!("{shape:?} over {dims:?}, correction {correction}, keepdim {keepdim}");
        let exact = |x: &[Array]| var(&x[0], &dims, correction, keepdim);
        law::forward(&what, &x, |x| x[0].var(&dims, correction, keepdim), exact, Within::Largest(1e-5));
        law::gradient(&what, &x, |x: &[Var]| x[0].var(&dims, correction, keepdim), exact);
    }
}

#[test]
fn layer_norms_match_the_reference() {
    for mut rng in draws(12) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 3)).map(|_| between(&mut rng, 3, 6)).collect();
        let first = rng.below(shape.len());
        let (sizes, dims) = (&shape[first..], (first..shape.len()).collect::<Vec<_>>());
        let [w, b] = [0; 2].map(|_| rng.uniform_tensor(sizes, 0.5, 2.0));
        let x = [rng.normal_tensor(&shape[..]), w, b];
        let what = format!("{shape:?} over {sizes:?}");
        let exact = |x: &[Array]| affine(&normalised(&x[0], &dims, 1e-5), &x[1], &x[2]);
        let op = |x: &[Var]| x[0].layer_norm(sizes, Some(&x[1]), Some(&x[2]), 1e-5);
        law::gradient(&what, &x, op, exact);
        let exact = |x: &[Array]| normalised(&x[0], &dims, 1e-3);
        law::forward(&what, &x[..1], |x| x[0].layer_norm(sizes, None, None, 1e-3), exact, Within::Largest(1e-5));
    }
}

#[test]
fn group_norms_match_the_reference() {
    for mut rng in draws(12) {
        let (batch, groups, each) = (between(&mut rng, 1, 2), between(&mut rng, 1, 3), between(&mut rng, 1, 2));
        let (channels, size) = (groups * each, [0; 2].map(|_| between(&mut rng, 2, 4)));
        let [w, b] = [0; 2].map(|_| rng.uniform_tensor([channels], 0.5, 2.0));
        let x = [rng.normal_tensor([batch, channels, size[0], size[1]]), w, b];
        let exact = |x: &[Array]| {
            let y = normalised(&reshaped(&x[0], &[batch, groups, each * size[0] * size[1]]), &[2], 1e-5);
            let [w, b] = [1, 2].map(|i| reshaped(&x[i], &[channels, 1, 1]));
            affine(&reshaped(&y, &x[0].shape), &w, &b)
        };
        let what = format!("{} in {groups} groups", x[0].shape());
        law::gradient(&what, &x, |x| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), 1e-5), exact);
    }
}

#[test]
fn a_norm_has_mean_zero_and_variance_one() {
    let x = [Tensor::arange(0.0, 24.0, 1.0).reshape([2, 12])];
    law::forward(
        "mean",
        &x,
        |x| x[0].layer_norm([12], None, None, 0.0).mean(&[1], false).add_scalar(1.0),
        |_| map(&Array::new([2], vec![0.0; 2]), |x| x + 1.0),
        Within::Each(1e-6),
    );
    law::forward(
        "variance",
        &x,
        |x| x[0].layer_norm([12], None, None, 0.0).var(&[1], 0, false),
        |_| Array::new([2], vec![1.0; 2]),
        Within::Each(1e-5),
    );
}

#[test]
#[should_panic(expected = "layer_norm: [2, 3] over [2]")]
fn a_layer_norm_over_other_dimensions_is_refused() {
    Tensor::ones([2, 3]).layer_norm([2], None, None, 1e-5);
}

#[test]
#[should_panic(expected = "group_norm: [2, 3, 4] in 2 groups")]
fn groups_that_do_not_divide_the_channels_are_refused() {
    Tensor::ones([2, 3, 4]).group_norm(2, None, None, 1e-5);
}
