//! The recorded history of a value: it contains only what gradients need, is released without recursion, and is used once.

use autograd::{Param, Var, no_grad};
use tensor::Tensor;

/// Two hundred thousand operations, with backward and drop, on a test thread's stack (2 MiB).
#[test]
fn a_long_chain_overflows_no_stack() {
    let chain = |x: &Var| (0..200_000).fold(x.clone(), |y, _| y.add_scalar(1.0));
    let x = Var::leaf(Tensor::scalar(1.0));
    let y = chain(&x);
    assert_eq!(y.value().data(), [200_001.0]);
    assert_eq!(y.backward().of(&x).expect("a gradient").data(), [1.0]);
    drop(y);
    drop(chain(&x)); // drops the complete history
}

/// Two paths at every step, which a release that handles only chains iteratively would follow recursively.
#[test]
fn a_long_ladder_overflows_no_stack() {
    let x = Var::leaf(Tensor::scalar(0.0));
    let rung = |(a, b): (Var, Var), _| (&a + &b, &b - &a);
    drop((0..100_000).fold((x.clone(), x.add_scalar(1.0)), rung));
}

/// A rule that captures its input, history included. So it may own the last handle of the node before it.
#[test]
fn a_long_chain_of_rules_that_capture_variables_overflows_no_stack() {
    let double = |x: Var, _| {
        let kept = x.clone();
        let y = x.value().add(x.value());
        Var::record("double", y, |edges| edges.to(&x, move |dy| dy.mul_scalar(2.0).mul(&kept.value().full_like(1.0))))
    };
    let x = Var::leaf(Tensor::scalar(1.0));
    drop((0..200_000).fold(x.clone(), double));
    let y = (0..3).fold(x.clone(), double);
    assert_eq!(y.backward().of(&x).expect("a gradient").data(), [8.0]);
}

#[test]
fn constants_make_constants() {
    let (x, c) = (Var::leaf(Tensor::ones([2, 2])), Var::constant(Tensor::ones([2, 2])));
    assert!(!(&c * &c).exp().matmul(&c).has_gradient());
    assert!((&x * &c).has_gradient() && (&c + &x).has_gradient() && c.matmul(&x).has_gradient());
    assert!((&c * &c).sum_all().backward().of(&c).is_none());
}

#[test]
#[cfg_attr(panic = "abort", ignore = "it catches a panic")]
fn no_grad_keeps_no_history_and_ends_with_its_body() {
    let (x, p) = (Var::leaf(Tensor::ones([3])), Param::new(Tensor::ones([3])));
    let inside = no_grad(|| {
        no_grad(|| ()); // an inner no_grad does not end the outer one
        assert!(!p.var().has_gradient());
        &x * &p.var()
    });
    assert!(!inside.has_gradient());
    assert_eq!(inside.value().data(), [1.0; 3]);
    assert!((&x * &p.var()).has_gradient());
    let broken = std::panic::catch_unwind(|| no_grad(|| panic!("on purpose")));
    assert!(broken.is_err() && x.exp().has_gradient(), "a panic inside must not leave history off");
}

#[test]
fn a_detached_value_is_a_constant_of_the_same_elements() {
    let x = Var::leaf(Tensor::full([3], 3.0));
    let square = x.square();
    let y = (&square.detach() * &x).sum_all();
    assert_eq!(square.detach().value().data().as_ptr(), square.value().data().as_ptr());
    assert_eq!(y.backward().of(&x).expect("a gradient").data(), [9.0; 3]); // not 27
}

#[test]
fn a_frozen_parameter_is_a_constant_until_it_thaws() {
    let (frozen, free) = (Param::new(Tensor::full([2], 3.0)), Param::new(Tensor::full([2], 5.0)));
    frozen.freeze(true);
    let mut gradients = (frozen.var() * free.var()).sum_all().backward();
    assert!(gradients.take(&frozen).is_none());
    assert_eq!(gradients.take(&free).expect("a gradient").data(), [3.0; 2]);
    assert!(gradients.take(&free).is_none(), "it was taken");
    frozen.freeze(false);
    let mut gradients = (frozen.var() * free.var()).sum_all().backward();
    assert_eq!(gradients.take(&frozen).expect("a gradient").data(), [5.0; 2]);
}

#[test]
fn a_parameter_used_twice_gets_both_gradients() {
    let p = Param::new(Tensor::full([2], 3.0));
    let mut gradients = (p.var() * p.var() + p.var()).sum_all().backward();
    assert_eq!(gradients.take(&p).expect("a gradient").data(), [7.0; 2]);
}

#[test]
fn what_the_result_does_not_depend_on_has_no_gradient() {
    let (x, aside) = (Var::leaf(Tensor::ones([2])), Var::leaf(Tensor::ones([2])));
    let _unused = &x * &aside;
    let gradients = x.exp().sum_all().backward();
    assert!(gradients.of(&x).is_some() && gradients.of(&aside).is_none());
}

#[test]
fn a_leaf_has_a_gradient_of_one() {
    let x = Var::leaf(Tensor::ones([2]));
    let gradients = x.backward_with(Tensor::new(&[3.0, 4.0], [2]));
    assert_eq!(gradients.of(&x).expect("a gradient").data(), [3.0, 4.0]);
}

#[test]
#[should_panic(expected = "used up by an earlier backward pass")]
fn a_history_can_be_used_once() {
    let x = Var::leaf(Tensor::ones([2]));
    let y = x.square().sum_all();
    y.backward();
    y.backward();
}

#[test]
#[should_panic(expected = "backward: [2] is not one number")]
fn backward_requires_a_scalar() {
    Var::leaf(Tensor::ones([2])).exp().backward();
}

/// A gradient is computed only for the inputs that need one.
#[test]
fn rules_know_which_gradients_are_needed() {
    let (x, c) = (Var::leaf(Tensor::ones([2])), Var::constant(Tensor::ones([2])));
    let y = Var::record("sum", x.value().add(c.value()), |edge| {
        edge.joint([&x, &c], |dy, wanted| {
            assert_eq!(wanted, [true, false]);
            [Some(dy.clone()), None]
        });
    });
    assert_eq!(y.backward_with(Tensor::ones([2])).of(&x).expect("a gradient").data(), [1.0; 2]);
}
