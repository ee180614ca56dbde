//! Tests of `check::gradients`: it must refuse the wrong rules in this file and accept the right ones, on the CPU and on a GPU.

use autograd::Var;
use autograd::check::{self, Array, Mismatch};
use reference::law::{Exact, Within};
use reference::place::everywhere;
use reference::wait::block_on;
use tensor::{Device, Generator, Tensor};

/// An operation with the value x² and the given backward rule, `dx = rule(x, dy)`.
fn square_with(rule: fn(&Tensor, &Tensor) -> Tensor) -> impl Fn(&[Var]) -> Var {
    move |x| {
        let kept = x[0].value().clone();
        Var::record("square", kept.mul(&kept), |edge| edge.to(&x[0], move |dy| rule(&kept, dy)))
    }
}

fn square(device: &Device, rule: fn(&Tensor, &Tensor) -> Tensor) -> Result<(), Mismatch> {
    let x = Generator::new(1).normal_tensor([3, 5]);
    block_on(check::gradients(device, square_with(rule), |x| reference::map(&x[0], |x| x * x), &[x], 1))
}

fn right(x: &Tensor, dy: &Tensor) -> Tensor {
    dy.mul(x).mul_scalar(2.0)
}

#[test]
fn the_right_rule_passes() {
    everywhere(|device| square(device, right).expect("2·x·dy"));
}

#[test]
fn wrong_rules_are_refused() {
    type Rule = fn(&Tensor, &Tensor) -> Tensor;
    let rules: [(&str, Rule); 7] = [
        ("the sign", |x, dy| right(x, dy).mul_scalar(-1.0)),
        ("no upstream gradient", |x, _| x.mul_scalar(2.0)),
        ("a thousandth too much", |x, dy| right(x, dy).mul_scalar(1.001)),
        ("a ten-thousandth too much", |x, dy| right(x, dy).mul_scalar(1.0001)),
        ("the factor", |x, dy| dy.mul(x)),
        ("NaN", |x, dy| right(x, dy).mul_scalar(f32::NAN)),
        ("nothing", |x, dy| right(x, dy).mul_scalar(0.0)),
    ];
    everywhere(|device| {
        for (what, rule) in rules {
            let mismatch = square(device, rule).expect_err(what);
            assert_eq!(mismatch.what, "gradient of input 0", "{what}");
        }
    });
}

/// What a law has computed for one algorithm does not excuse another.
#[test]
#[should_panic(expected = "the wrong one at")]
fn algorithms_that_share_a_reference_are_compared_one_by_one() {
    let x = [Generator::new(1).normal_tensor([3, 5])];
    let squares = |x: &[Array]| reference::map(&x[0], |x| x * x);
    let exact = Exact::new(&x, &squares);
    exact.gradient("the right one", square_with(right));
    exact.gradient("the wrong one", square_with(|x, dy| dy.mul(x)));
}

/// The same for values.
#[test]
#[should_panic(expected = "the cube at")]
fn values_that_share_a_reference_are_compared_one_by_one() {
    let x = [Generator::new(1).normal_tensor([3, 5])];
    let squares = |x: &[Array]| reference::map(&x[0], |x| x * x);
    let exact = Exact::new(&x, &squares);
    exact.forward("the square", |x| x[0].mul(&x[0]), Within::Each(1e-6));
    exact.forward("the cube", |x| x[0].mul(&x[0]).mul(&x[0]), Within::Each(1e-6));
}

/// One wrong element of fifteen.
#[test]
fn a_single_wrong_element_is_refused_and_named() {
    everywhere(|device| {
        let mismatch = square(device, |x, dy| {
            let mut off = Tensor::zeros([3, 5]);
            off.data_mut()[7] = 0.01;
            right(x, dy).add(&off.upload(&x.device()))
        });
        assert_eq!(mismatch.expect_err("one element is wrong").index, 7);
    });
}

#[test]
fn a_wrong_value_is_refused_before_any_gradient() {
    let x = Generator::new(2).normal_tensor([4]);
    everywhere(|device| {
        let exact = |x: &[Array]| reference::map(&x[0], |x| 1.001 * x.exp());
        let mismatch = block_on(check::gradients(device, |x| x[0].exp(), exact, std::slice::from_ref(&x), 1));
        assert_eq!(mismatch.expect_err("values differ").what, "value");
    });
}

/// Tolerances are relative to the largest finite value, so an infinite one excuses no other element.
#[test]
fn a_wrong_value_beside_an_infinite_one_is_refused() {
    let x = [Tensor::new(&[0.0, 1.0, 2.0], [3])];
    let op = |x: &[Var]| Var::constant(Tensor::full([3], 1.01)) / &x[0];
    let exact = |x: &[Array]| reference::map(&x[0], |x| 1.0 / x);
    let mismatch = block_on(check::gradients(&Device::Cpu, op, exact, &x, 1)).expect_err("it is 1 % too large");
    assert_eq!((mismatch.what.as_str(), mismatch.index), ("value", 1));
}

/// The gradient of softmax without its second term. With a cotangent of ones it would pass.
#[test]
fn a_softmax_without_its_normalisation_is_refused() {
    let op = |x: &[Var]| {
        let y = x[0].value().log_softmax(1);
        Var::record("log_softmax", y, |edge| edge.to(&x[0], |dy| dy.clone()))
    };
    let x = [Generator::new(3).normal_tensor([2, 5])];
    let exact = |x: &[Array]| reference::softmax::log_softmax(&x[0], 1);
    everywhere(|device| {
        block_on(check::gradients(device, op, exact, &x, 1)).expect_err("a term is missing");
    });
}

/// A constant in place of a differentiable result has gradient 0, which is wrong, too.
#[test]
fn a_missing_rule_is_refused() {
    let op = |x: &[Var]| &x[0] * x[1].detach();
    let mut rng = Generator::new(4);
    let x = [rng.normal_tensor([4]), rng.normal_tensor([4])];
    let exact = |x: &[Array]| reference::binary::broadcast(&x[0], &x[1], |a, b| a * b);
    everywhere(|device| {
        let mismatch = block_on(check::gradients(device, op, exact, &x, 1));
        assert_eq!(mismatch.expect_err("the second input is detached").what, "gradient of input 1");
    });
}

/// Inputs at kinks are left out, but the check fails if too few remain.
#[test]
#[should_panic(expected = "sit on kinks")]
fn inputs_at_kinks_are_refused() {
    let exact = |x: &[Array]| reference::map(&x[0], |x| x.max(0.0));
    let _ = block_on(check::gradients(&Device::Cpu, |x| x[0].relu(), exact, &[Tensor::full([10], 2e-4)], 1));
}
