//! Group norms, and layer norms, which are composed of them, against their formula in f64.

use autograd::Var;
use reference::group_norm::{affine, group_norm, normalised};
use reference::law::{self, Within, between, draws};
use reference::{Array, map};
use tensor::{Generator, Tensor};

#[test]
fn values_and_gradients_match_the_reference() {
    for mut rng in draws(12) {
        let (batch, groups, each) = (between(&mut rng, 1, 3), between(&mut rng, 1, 3), between(&mut rng, 1, 3));
        let channels = groups * each;
        let mut shape = vec![batch, channels];
        shape.extend((0..rng.below(3)).map(|_| between(&mut rng, 2, 4)));
        let [w, b] = [0; 2].map(|_| rng.uniform_tensor([channels], 0.5, 2.0));
        let x = [rng.normal_tensor(&shape[..]), w, b];
        let what = format!("{shape:?} in {groups} groups");
        let exact = |x: &[Array]| group_norm(&x[0], groups, &x[1], &x[2], 1e-2);
        law::gradient(&what, &x, |x| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), 1e-2), exact);
        let [ones, zeros] = [1.0, 0.0].map(|value| Array::new([channels], vec![value; channels]));
        let exact = |x: &[Array]| group_norm(&x[0], groups, &ones, &zeros, 1e-2);
        law::gradient(&what, &x[..1], |x: &[Var]| x[0].group_norm(groups, None, None, 1e-2), exact);
    }
}

/// More numbers than a workgroup has invocations, and than a CPU adds in one piece. The numbers have a large common offset.
#[test]
fn large_groups_match_the_reference() {
    let mut rng = Generator::new(5);
    for (shape, groups) in [([3, 4, 51, 50], 2), ([2, 6, 17, 17], 6), ([70, 5, 1, 1], 1), ([2, 9001, 1, 1], 1)] {
        let [w, b] = [0; 2].map(|_| rng.uniform_tensor([shape[1]], 0.5, 2.0));
        let x = [rng.uniform_tensor(shape, 99.0, 101.0), w, b];
        let what = format!("{shape:?} in {groups} groups");
        let exact = |x: &[Array]| group_norm(&x[0], groups, &x[1], &x[2], 1e-5);
        let op = |x: &[Tensor]| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), 1e-5);
        law::forward(&what, &x, op, exact, Within::Largest(1e-5));
    }
}

/// The gradients of large groups, from those of the same norm composed of other operations.
#[test]
fn gradients_of_large_groups_are_those_of_the_composed_norm() {
    let mut rng = Generator::new(6);
    for (shape, groups) in [([3, 4, 51, 50], 2), ([130, 6, 3, 3], 3), ([70, 300, 1, 1], 1), ([2, 9001, 1, 1], 1)] {
        let channels = shape[1];
        let x = rng.normal_tensor(shape);
        let [w, b] = [0; 2].map(|_| rng.uniform_tensor([channels], 0.5, 2.0));
        let dy = rng.normal_tensor(shape);
        let gradients = |op: &dyn Fn(&[Var; 3]) -> Var, x: &[Tensor; 3], dy: &Tensor| {
            let leaves = x.clone().map(Var::leaf);
            let gradients = op(&leaves).backward_with(dy.clone());
            leaves.map(|leaf| reference::wait::block_on(gradients.of(&leaf).unwrap().read()).unwrap())
        };
        let composed = |x: &[Var; 3]| {
            let rows = x[0].reshape([shape[0], groups, x[0].value().count() / (shape[0] * groups)]);
            let centred = rows.sub(&rows.mean(&[2], true));
            let y = centred.div(&centred.square().mean(&[2], true).add_scalar(1e-5).sqrt()).reshape(shape);
            let [w, b] = [1, 2].map(|i| x[i].reshape([channels, 1, 1]));
            y.mul(&w).add(&b)
        };
        let expected = gradients(&composed, &[x.clone(), w.clone(), b.clone()], &dy);
        reference::place::everywhere(|device| {
            let [x, w, b, dy] = [&x, &w, &b, &dy].map(|x| x.upload(device));
            let fused = |x: &[Var; 3]| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), 1e-5);
            for (found, expected) in gradients(&fused, &[x, w, b], &dy).iter().zip(&expected) {
                let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= 2e-5 * largest, "{shape:?} in {groups} groups: off by {worst} of {largest}");
            }
        });
    }
}

#[test]
fn a_norm_of_nothing_is_nothing() {
    let gradients = Tensor::ones([0, 4, 3]).native_group_norm(2, None, None, 1e-5);
    assert_eq!((gradients.0.shape()[..].to_vec(), gradients.1.shape()[..].to_vec()), (vec![0, 4, 3], vec![0, 2, 2]));
    let x = Var::leaf(Tensor::ones([0, 4, 3]));
    let weight = Var::leaf(Tensor::ones([4]));
    let gradients = x.group_norm(2, Some(&weight), None, 1e-5).sum_all().backward();
    assert_eq!(gradients.of(&weight).unwrap().data(), [0.0; 4]);
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
