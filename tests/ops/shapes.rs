//! stack, split, chunk, squeeze, unsqueeze, flatten and repeat put every element where the definition does, and so do their
//! gradients.

use autograd::Var;
use reference::law::{self, Within, between, draws};
use reference::{Array, build_ranked, layout, place};
use tensor::{Generator, Tensor};

fn shape(rng: &mut Generator) -> Vec<usize> {
    (0..between(rng, 1, 4)).map(|_| between(rng, 1, 4)).collect()
}

fn reshaped(x: &Array, sizes: &[usize]) -> Array {
    Array::new(sizes, x.data.clone())
}

/// Each part with a dimension of size 1, side by side.
fn stacked(parts: &[Array], dim: usize) -> Array {
    let mut sizes = parts[0].shape.to_vec();
    sizes.insert(dim, 1);
    let parts: Vec<Array> = parts.iter().map(|part| reshaped(part, &sizes)).collect();
    layout::concat(&parts.iter().collect::<Vec<_>>(), dim)
}

/// y[i] = x[i mod sizes], aligned at the last dimension.
fn repeated(x: &Array, times: &[usize]) -> Array {
    let padded = x.shape.padded(times.len());
    let sizes: Vec<usize> = padded.iter().zip(times).map(|(size, times)| size * times).collect();
    build_ranked(&sizes, |index| {
        let from: Vec<usize> = index.iter().zip(&padded[..]).map(|(i, size)| i % size).collect();
        x.data[place(&padded, &from)]
    })
}

#[test]
fn stacks_match_the_reference() {
    for mut rng in draws(25) {
        let (sizes, parts) = (shape(&mut rng), between(&mut rng, 1, 3));
        let dim = rng.below(sizes.len() + 1);
        let x: Vec<Tensor> = (0..parts).map(|_| rng.normal_tensor(&sizes[..])).collect();
        let what = format!("{parts} of {sizes:?} along {dim}");
        let op = |x: &[Tensor]| Tensor::stack(&x.iter().collect::<Vec<_>>(), dim);
        law::forward(&what, &x, op, |x| stacked(x, dim), Within::Exact);
        let op = |x: &[Var]| Var::stack(&x.iter().collect::<Vec<_>>(), dim);
        law::gradient(&what, &x, op, |x| stacked(x, dim));
    }
}

#[test]
fn repetitions_match_the_reference() {
    for mut rng in draws(25) {
        let sizes = shape(&mut rng);
        let times: Vec<usize> = (0..sizes.len() + rng.below(2)).map(|_| between(&mut rng, 1, 3)).collect();
        let (x, what) = ([rng.normal_tensor(&sizes[..])], format!("{sizes:?} {times:?} times"));
        law::forward(&what, &x, |x| x[0].repeat(&times), |x| repeated(&x[0], &times), Within::Exact);
        law::gradient(&what, &x, |x| x[0].repeat(&times), |x| repeated(&x[0], &times));
    }
    assert_eq!(Tensor::ones([2, 3]).repeat(&[2, 0]).shape()[..], [4, 0]);
}

#[test]
fn parts_are_slices() {
    let x = Tensor::arange(0.0, 14.0, 1.0).reshape([2, 7]);
    let widths = |parts: &[Tensor]| parts.iter().map(|part| part.shape()[1]).collect::<Vec<_>>();
    assert_eq!(widths(&x.split(3, 1)), [3, 3, 1]);
    assert_eq!(widths(&x.split(7, 1)), [7]);
    assert_eq!(widths(&x.split(100, 1)), [7]);
    assert_eq!(widths(&x.chunk(3, 1)), [3, 3, 1]);
    assert_eq!(widths(&x.chunk(5, 1)), [2, 2, 2, 1]);
    assert_eq!(widths(&x.chunk(7, 1)), [1; 7]);
    assert_eq!(widths(&x.chunk(100, 1)), [1; 7]);
    assert_eq!(widths(&x.slice(1, 0, 0).chunk(2, 1)), [0]);
    for parts in [x.split(3, 1), x.chunk(5, 1)] {
        assert_eq!(Tensor::concat(&parts.iter().collect::<Vec<_>>(), 1).data(), x.data());
    }
    let leaf = Var::leaf(x);
    let gradients = leaf.split(3, 1)[1].sum_all().backward();
    let chosen = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0];
    assert_eq!(gradients.of(&leaf).expect("a gradient").data(), [chosen, chosen].concat());
}

#[test]
fn dimensions_of_size_one_come_and_go() {
    let x = Tensor::ones([2, 3, 4]);
    let shape = |x: &Tensor| x.shape().to_vec();
    assert_eq!(shape(&x.unsqueeze(0)), [1, 2, 3, 4]);
    assert_eq!(shape(&x.unsqueeze(3)), [2, 3, 4, 1]);
    assert_eq!(shape(&x.unsqueeze(1).squeeze(1)), [2, 3, 4]);
    assert_eq!(shape(&x.flatten(1)), [2, 12]);
    assert_eq!(shape(&x.flatten(0)), [24]);
    assert_eq!(shape(&x.flatten(2)), [2, 3, 4]);
    assert_eq!(x.flatten(1).data().as_ptr(), x.data().as_ptr());
}

#[test]
#[should_panic(expected = "squeeze: dimension 1 of [2, 3]")]
fn a_dimension_of_another_size_is_not_squeezed() {
    Tensor::ones([2, 3]).squeeze(1);
}

#[test]
#[should_panic(expected = "stack: [2, 3] and [3, 2]")]
fn different_shapes_are_not_stacked() {
    Tensor::stack(&[&Tensor::ones([2, 3]), &Tensor::ones([3, 2])], 0);
}

#[test]
#[should_panic(expected = "repeat: [2] of [2, 3]")]
fn fewer_numbers_than_dimensions_do_not_repeat() {
    Tensor::ones([2, 3]).repeat(&[2]);
}
