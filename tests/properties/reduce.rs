//! Reductions over any dimensions, including none and empty ones, and matrix products with empty sides.

use proptest::collection::vec;
use proptest::strategy::Strategy;
use reference::law::{self, Within};
use reference::reduce;
use reference::{Array, map, matmul};
use tensor::{Shape, Tensor};

use crate::{attempt, check, numbers, refused, shapes};

/// A shape, and some of its dimensions in any order.
fn some() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, bool)> {
    (shapes(), vec(0..1000_u32, 5), proptest::bool::ANY).prop_map(|(sizes, order, keepdim)| {
        let mut dims: Vec<usize> = (0..sizes.len()).filter(|&d| order[d].is_multiple_of(2)).collect();
        dims.sort_by_key(|&d| order[d]);
        (sizes, dims, keepdim)
    })
}

#[test]
fn sums_means_and_maxima_match_the_reference() {
    check(200, some(), |(sizes, dims, keepdim)| {
        let x = [numbers(&sizes)];
        let what = format!("{sizes:?} over {dims:?}, keepdim {keepdim}");
        // A GPU sums in f32, so the tolerance is relative to the size of the terms.
        let terms: f64 = x[0].data().iter().map(|&x| f64::from(x).abs()).sum();
        let within = Within::LargestOrBy(1e-6, 1e-6 * terms);
        let sum = |x: &[Array]| reduce::sum(&x[0], &dims, keepdim);
        law::forward(&format!("sum {what}"), &x, |x| x[0].sum(&dims, keepdim), sum, within);
        if x[0].count() > 0 {
            let mean = |x: &[Array]| reduce::mean(&x[0], &dims, keepdim);
            law::forward(&format!("mean {what}"), &x, |x| x[0].mean(&dims, keepdim), mean, within);
            let max = |x: &[Array]| reduce::max(&x[0], &dims, keepdim);
            law::forward(&format!("max {what}"), &x, |x| x[0].max(&dims, keepdim), max, Within::Exact);
        }
    });
}

#[test]
fn summing_to_a_shape_undoes_its_expansion() {
    check(200, some(), |(sizes, dims, _)| {
        let part: Vec<usize> = sizes.iter().enumerate().map(|(d, &n)| if dims.contains(&d) { 1 } else { n }).collect();
        let x = [numbers(&part)];
        let times = dims.iter().map(|&d| sizes[d]).product::<usize>() as f64;
        let back = |x: &[Tensor]| x[0].expand(&sizes[..]).sum_to(&Shape::new(&part));
        let exact = |x: &[Array]| map(&x[0], |x| x * times);
        law::forward(&format!("{part:?} to {sizes:?} and back"), &x, back, exact, Within::Each(1e-6));
    });
}

#[test]
fn wrong_dimensions_are_refused() {
    check(1000, (shapes(), vec(0..7_usize, 0..4)), |(sizes, dims)| {
        let x = numbers(&sizes);
        let wrong = dims.iter().enumerate().find_map(|(i, d)| match d {
            d if *d >= sizes.len() => Some(format!("no dimension {d} in {sizes:?}")),
            d if dims[..i].contains(d) => Some(format!("dimension {d} is named twice")),
            _ => None,
        });
        match wrong {
            Some(words) => {
                refused(attempt(|| x.sum(&dims, false)), &format!("sum: {words}"));
                refused(attempt(|| x.mean(&dims, true)), &words);
            }
            None => assert_eq!(x.sum(&dims, true).shape().len(), sizes.len()),
        }
        if x.count() == 0 {
            refused(attempt(|| x.max(&[], false)), "has no element");
        }
        for d in &dims {
            let outcome = attempt(|| x.logsumexp(*d));
            match sizes.get(*d) {
                None => refused(outcome, &format!("logsumexp: no dimension {d} in {sizes:?}")),
                Some(0) if x.count() == 0 && sizes.iter().enumerate().all(|(other, &n)| other == *d || n > 0) => {
                    refused(outcome, "has nothing along dimension");
                }
                Some(_) => drop(outcome),
            }
        }
    });
}

#[test]
fn products_of_any_sides_match_the_reference_or_are_refused() {
    check(150, (vec(0..9_usize, 3), 0..3_usize), |(sides, more)| {
        let [m, k, n] = sides[..] else { unreachable!("three sides") };
        let x = [numbers(&[m, k]), numbers(&[k, n])];
        let exact = |x: &[Array]| matmul::nn(&x[0], &x[1]);
        law::forward(&format!("matmul {sides:?}"), &x, |x| x[0].matmul(&x[1]), exact, Within::By(1e-5));
        if more > 0 {
            let other = numbers(&[k + more, n]);
            refused(attempt(|| x[0].matmul(&other)), &format!("matmul: [{m}, {k}] times [{}, {n}]", k + more));
        }
        refused(attempt(|| x[0].matmul(&numbers(&[k]))), "expected [rows, columns]");
    });
}
