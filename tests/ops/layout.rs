//! permute, transpose, concat and slice put every element where the reference does, and so do their gradients.

use reference::binary::broadcast;
use reference::compare::assert_same_bits;
use reference::law::{self, Within, between, draws};
use reference::place::everywhere;
use reference::{Array, layout, map};
use tensor::{Generator, Tensor};

fn shape(rng: &mut Generator) -> Vec<usize> {
    (0..between(rng, 1, 5)).map(|_| between(rng, 1, 5)).collect()
}

/// The shapes of `parts` tensors that can be concatenated along a dimension.
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
fn values_match_the_reference() {
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
fn gradients_match_the_reference() {
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
    everywhere(|device| {
        let y = x.upload(device).permute(&[2, 0, 1]).permute(&[1, 2, 0]);
        assert_same_bits("permuted and back", &y, &x);
    });
}

/// Expanded and filled tensors, bit for bit.
#[test]
fn expanded_and_filled_tensors_match_the_reference() {
    for mut rng in draws(20) {
        let whole = shape(&mut rng);
        let missing = rng.below(whole.len());
        let part: Vec<usize> = whole[missing..].iter().map(|&n| if rng.below(2) == 0 { 1 } else { n }).collect();
        let x = [rng.normal_tensor(&part[..])];
        law::forward(
            &format!("{part:?} in {whole:?}"),
            &x,
            |x| x[0].expand(&whole[..]),
            |x| broadcast(&x[0], &Array::new(&whole[..], vec![0.0; whole.iter().product()]), |a, _| a),
            Within::Exact,
        );
        law::forward("full", &x, |x| x[0].full_like(-0.3), |x| map(&x[0], |_| f64::from(-0.3f32)), Within::Exact);
    }
}

/// Copies do not compute: elements that arithmetic would change keep their bits.
#[test]
fn copies_keep_denormal_numbers_and_the_sign_of_zero() {
    let x = Tensor::new(&[-0.0, 1e-40, -1e-45, 0.0, f32::MIN_POSITIVE, -3.0], [2, 3]);
    everywhere(|device| {
        let there = x.upload(device);
        assert_same_bits("there and back", &there, &x);
        assert_same_bits("permuted", &there.transpose(0, 1), &x.transpose(0, 1));
        assert_same_bits("sliced", &there.slice(1, 1, 2), &x.slice(1, 1, 2));
        assert_same_bits("beside itself", &Tensor::concat(&[&there, &there], 0), &Tensor::concat(&[&x, &x], 0));
    });
}

#[test]
#[should_panic(expected = "slice: 2..6 of dimension 1 of [3, 5]")]
fn a_slice_past_the_end_is_refused() {
    Tensor::zeros([3, 5]).slice(1, 2, 4);
}
