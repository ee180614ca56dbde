//! Permutations of any dimensions, slices and concatenations, and their inverses, bit for bit.

use proptest::collection::vec;
use proptest::strategy::Strategy;
use reference::compare::assert_same_bits;
use reference::law::{self, Within};
use reference::place::everywhere;
use reference::{Array, layout};
use tensor::{Generator, Tensor};

use crate::{attempt, check, numbers, refused, shapes};

fn with_dimension() -> impl Strategy<Value = (Vec<usize>, usize)> {
    (shapes().prop_filter("a dimension", |sizes| !sizes.is_empty()), 0..5_usize).prop_map(|(sizes, dim)| {
        let dim = dim % sizes.len();
        (sizes, dim)
    })
}

#[test]
fn a_permutation_is_the_reference_s_and_its_inverse_undoes_it() {
    check(150, (shapes(), proptest::num::u64::ANY), |(sizes, seed)| {
        let order = Generator::new(seed).permutation(sizes.len());
        let x = [numbers(&sizes)];
        let exact = |x: &[Array]| layout::permute(&x[0], &order);
        law::forward(&format!("permute {sizes:?} by {order:?}"), &x, |x| x[0].permute(&order), exact, Within::Exact);
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        everywhere(|device| {
            let there = x[0].upload(device);
            assert_same_bits("there and back", &there.permute(&order).permute(&inverse), &x[0]);
        });
    });
}

#[test]
fn concatenated_slices_are_the_whole() {
    check(150, (with_dimension(), vec(0..5_usize, 2)), |((sizes, dim), cuts)| {
        let x = numbers(&sizes);
        let size = sizes[dim];
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (size + 1)).collect();
        cuts.sort_unstable();
        let edges = [&[0], &cuts[..], &[size]].concat();
        everywhere(|device| {
            let whole = x.upload(device);
            let parts: Vec<Tensor> =
                edges.windows(2).map(|edge| whole.slice(dim, edge[0], edge[1] - edge[0])).collect();
            assert_same_bits("slices beside each other", &Tensor::concat(&parts.iter().collect::<Vec<_>>(), dim), &x);
            // Pads a slice with zeros and slices it again. All padded slices add up to the whole.
            let mut sum = Tensor::zeros(&sizes[..]).upload(device);
            for (part, edge) in parts.iter().zip(&edges) {
                let padded = part.slice_gradient(dim, *edge, size);
                assert_same_bits("padded and sliced", &padded.slice(dim, *edge, part.shape()[dim]), part);
                sum = sum.add(&padded);
            }
            assert_same_bits("padded parts added", &sum, &x);
        });
    });
}

#[test]
fn a_reshape_keeps_every_element() {
    check(200, (shapes(), shapes()), |(from, to)| {
        let x = numbers(&from);
        let outcome = attempt(|| x.reshape(&to[..]));
        match from.iter().product::<usize>() == to.iter().product::<usize>() {
            true => assert_eq!(outcome.expect("as many").reshape(&from[..]).data(), x.data()),
            false => refused(outcome, &format!("reshape: {from:?} to {to:?}")),
        }
    });
}

#[test]
fn invalid_dimensions_are_refused() {
    check(1000, (shapes(), 0..7_usize, 0..7_usize, 0..7_usize), |(sizes, dim, start, length)| {
        let x = numbers(&sizes);
        let outcome = attempt(|| x.slice(dim, start, length));
        match sizes.get(dim) {
            None => refused(outcome, &format!("slice: no dimension {dim} in {sizes:?}")),
            Some(&size) if start + length > size => {
                refused(outcome, &format!("slice: {start}..{} of dimension {dim} of {sizes:?}", start + length));
            }
            Some(_) => assert_eq!(outcome.expect("inside").shape()[dim], length),
        }
        let outcome = attempt(|| x.transpose(dim, start));
        match dim.max(start) < sizes.len() {
            true => assert_eq!(outcome.expect("two dimensions").shape()[dim], sizes[start]),
            false => refused(outcome, &format!("transpose: dimensions {dim} and {start} of {sizes:?}")),
        }
        let order = [dim, start, length];
        let outcome = attempt(|| x.permute(&order));
        let mut sorted = order;
        sorted.sort_unstable();
        match sizes.len() == 3 && sorted == [0, 1, 2] {
            true => assert_eq!(outcome.expect("an order").count(), x.count()),
            false => refused(outcome, "permute"),
        }
    });
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    check(400, (shapes(), shapes(), 0..6_usize), |(a, b, dim)| {
        let (x, y) = (numbers(&a), numbers(&b));
        let others = |sizes: &[usize]| sizes.iter().enumerate().map(|(d, &n)| if d == dim { 0 } else { n }).collect();
        let (other_a, other_b): (Vec<usize>, Vec<usize>) = (others(&a), others(&b));
        let outcome = attempt(|| Tensor::concat(&[&x, &y], dim));
        match a.get(dim) {
            None => refused(outcome, &format!("concat: no dimension {dim} in {a:?}")),
            Some(_) if other_a != other_b => refused(outcome, &format!("concat along {dim}: {a:?} and {b:?}")),
            Some(_) => assert_eq!(outcome.expect("they fit").shape()[dim], a[dim] + b[dim]),
        }
    });
}
