//! permute, transpose, concat and slice put every number where the reference does, and take gradients back.

use reference::law::{self, Within, between, draws};
use reference::layout;
use tensor::{Generator, Tensor};

fn shape(rng: &mut Generator) -> Vec<usize> {
    (0..between(rng, 1, 5)).map(|_| between(rng, 1, 5)).collect()
}

/// The sizes of `parts` tensors that fit side by side along a dimension.
fn beside(rng: &mut Generator, parts: usize) -> (Vec<Vec<usize>>, usize) {
    let whole = shape(rng);
    let dim = rng.below(whole.len());
    let part = |_| {
        let mut part = whole.clone();
        part[dim] = rng.below(4);
        part
    };
    ((0..parts).map(part).collect(), dim)
}

#[test]
fn values_are_the_reference_s() {
    for mut rng in draws(80) {
        let sizes = shape(&mut rng);
        let x = [rng.normal_tensor(&sizes[..])];
        let order = rng.permutation(sizes.len());
        law::forward(
            &format!("permute {sizes:?} by {order:?}"),
            &x,
            |x| x[0].permute(&order),
            |x| layout::permute(&x[0], &order),
            Within::Exact,
        );

        let (a, b) = (rng.below(sizes.len()), rng.below(sizes.len()));
        let mut exchanged: Vec<usize> = (0..sizes.len()).collect();
        exchanged.swap(a, b);
        law::forward(
            &format!("transpose {sizes:?}, {a} and {b}"),
            &x,
            |x| x[0].transpose(a, b),
            |x| layout::permute(&x[0], &exchanged),
            Within::Exact,
        );

        let dim = rng.below(sizes.len());
        let start = rng.below(sizes[dim] + 1);
        let length = rng.below(sizes[dim] - start + 1);
        law::forward(
            &format!("slice {sizes:?}, {length} of {dim} from {start}"),
            &x,
            |x| x[0].slice(dim, start, length),
            |x| layout::slice(&x[0], dim, start, length),
            Within::Exact,
        );

        let parts = between(&mut rng, 1, 3);
        let (shapes, dim) = beside(&mut rng, parts);
        let parts: Vec<Tensor> = shapes.iter().map(|s| rng.normal_tensor(&s[..])).collect();
        law::forward(
            &format!("concat {shapes:?} along {dim}"),
            &parts,
            |x| Tensor::concat(&x.iter().collect::<Vec<_>>(), dim),
            |x| layout::concat(&x.iter().collect::<Vec<_>>(), dim),
            Within::Exact,
        );
    }
}

#[test]
fn gradients_are_the_reference_s() {
    for mut rng in draws(30) {
        let sizes = shape(&mut rng);
        let x = [rng.normal_tensor(&sizes[..])];
        let order = rng.permutation(sizes.len());
        law::gradient(
            &format!("permute {sizes:?} by {order:?}"),
            &x,
            |x| x[0].permute(&order),
            |x| layout::permute(&x[0], &order),
        );

        let (a, b) = (rng.below(sizes.len()), rng.below(sizes.len()));
        let mut exchanged: Vec<usize> = (0..sizes.len()).collect();
        exchanged.swap(a, b);
        law::gradient(
            &format!("transpose {sizes:?}, {a} and {b}"),
            &x,
            |x| x[0].transpose(a, b),
            |x| layout::permute(&x[0], &exchanged),
        );

        let dim = rng.below(sizes.len());
        let start = rng.below(sizes[dim]);
        let length = between(&mut rng, 1, sizes[dim] - start);
        law::gradient(
            &format!("slice {sizes:?}, {length} of {dim} from {start}"),
            &x,
            |x| x[0].slice(dim, start, length),
            |x| layout::slice(&x[0], dim, start, length),
        );

        let parts = between(&mut rng, 1, 3);
        let (shapes, dim) = beside(&mut rng, parts);
        let parts: Vec<Tensor> = shapes.iter().map(|s| rng.normal_tensor(&s[..])).collect();
        law::gradient(
            &format!("concat {shapes:?} along {dim}"),
            &parts,
            |x| autograd::Var::concat(&x.iter().collect::<Vec<_>>(), dim),
            |x| layout::concat(&x.iter().collect::<Vec<_>>(), dim),
        );
    }
}

#[test]
fn a_large_permutation_is_undone_by_its_inverse() {
    let x = Generator::new(5).normal_tensor([17, 30, 41]);
    let y = x.permute(&[2, 0, 1]).permute(&[1, 2, 0]);
    reference::compare::assert_same_bits("permuted and back", &y, &x);
}

#[test]
#[should_panic(expected = "slice: 2..6 of dimension 1 of [3, 5]")]
fn a_slice_past_the_end_is_refused() {
    Tensor::zeros([3, 5]).slice(1, 2, 4);
}
