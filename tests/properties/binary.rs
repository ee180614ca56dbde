//! Broadcasting: shapes are aligned at the last dimension. Where sizes differ, one must be 1; the other may be 0.

use autograd::Var;
use proptest::collection::vec;
use proptest::strategy::Strategy;
use reference::binary::broadcast;
use reference::law::{self, Within};
use reference::{Array, map};
use tensor::{Shape, Tensor};

use crate::{attempt, check, numbers, refused, shapes};

/// Two shapes that broadcast: either may lack leading dimensions, or have a size of 1 where the other has more.
fn pairs() -> impl Strategy<Value = [Vec<usize>; 2]> {
    let part = || (0..=5_usize, vec(0..3_usize, 5));
    (shapes(), part(), part()).prop_map(|(whole, a, b)| {
        [a, b].map(|(missing, ones)| {
            let rest = &whole[missing.saturating_sub(2).min(whole.len())..];
            rest.iter().zip(ones).map(|(&size, one)| if one == 0 { 1 } else { size }).collect()
        })
    })
}

fn inputs([a, b]: &[Vec<usize>; 2]) -> [Tensor; 2] {
    let away_from_zero = numbers(b).data().iter().map(|x| x.signum() * (x.abs() + 0.5)).collect::<Vec<_>>();
    [numbers(a), Tensor::new(&away_from_zero, &b[..])]
}

#[test]
fn broadcast_results_match_the_reference() {
    check(200, pairs(), |shapes| {
        let x = inputs(&shapes);
        let held = |what: &str, op: fn(&Tensor, &Tensor) -> Tensor, exact: fn(f64, f64) -> f64| {
            let what = format!("{what} {shapes:?}");
            law::forward(&what, &x, |x| op(&x[0], &x[1]), |x| broadcast(&x[0], &x[1], exact), Within::Each(1e-7));
        };
        held("add", Tensor::add, |a, b| a + b);
        held("sub", Tensor::sub, |a, b| a - b);
        held("mul", Tensor::mul, |a, b| a * b);
        held("div", Tensor::div, |a, b| a / b);
        let whole = Shape::new(&shapes[0]).broadcast(&Shape::new(&shapes[1])).expect("a pair that broadcasts");
        let zeros = |x: &Array| map(x, |_| 0.0);
        let exact = |x: &[Array]| broadcast(&x[0], &zeros(&x[1]), |a, _| a);
        law::forward(&format!("expand {shapes:?}"), &x, |x| x[0].expand(whole), exact, Within::Exact);
    });
}

#[test]
fn gradients_have_the_shapes_of_their_operands() {
    let some = |shapes: &[Vec<usize>; 2]| shapes.iter().flatten().all(|&size| size > 0);
    check(50, pairs().prop_filter("elements", some), |shapes| {
        let x = inputs(&shapes);
        let exact = |x: &[Array]| broadcast(&x[0], &x[1], |a, b| a * b);
        law::gradient(&format!("mul {shapes:?}"), &x, |x: &[Var]| &x[0] * &x[1], exact);
    });
}

#[test]
fn shapes_that_do_not_broadcast_are_refused_with_both() {
    check(1000, (shapes(), shapes()), |(a, b)| {
        let (x, y) = (Tensor::zeros(&a[..]), Tensor::zeros(&b[..]));
        let fits = a.iter().rev().zip(b.iter().rev()).all(|(&m, &n)| m == n || m == 1 || n == 1);
        let rank = a.len().max(b.len());
        for (name, op) in [("add", Tensor::add as fn(&Tensor, &Tensor) -> Tensor), ("div", Tensor::div)] {
            let outcome = attempt(|| op(&x, &y));
            match fits {
                true => assert_eq!(outcome.expect("they broadcast").shape().len(), rank),
                false => refused(outcome, &format!("{name}: shapes {a:?} and {b:?} do not broadcast")),
            }
        }
        let outcome = attempt(|| x.expand(&b[..]));
        match Shape::new(&a).broadcast(&Shape::new(&b)).is_some_and(|whole| whole[..] == b[..]) {
            true => assert_eq!(outcome.expect("it expands").shape()[..], b[..]),
            false => refused(outcome, &format!("expand: {a:?} to {b:?}")),
        }
        let outcome = attempt(|| x.clone().add_assign(&y));
        match a == b {
            true => outcome.expect("equal shapes"),
            false => refused(outcome, &format!("add_assign: {a:?} and {b:?}")),
        }
    });
}
