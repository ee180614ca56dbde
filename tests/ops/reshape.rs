//! A reshape shares its elements, in the same order, and its gradient is reshaped back.

use autograd::Var;
use reference::{Array, law};
use tensor::{Generator, Tensor};

#[test]
fn elements_stay_in_order_and_are_shared() {
    let x = Generator::new(1).normal_tensor([4, 6]);
    let y = x.reshape([2, 3, 1, 4]);
    assert_eq!((y.data(), y.shape()[..].to_vec()), (x.data(), vec![2, 3, 1, 4]));
    assert_eq!(y.data().as_ptr(), x.data().as_ptr());
}

#[test]
fn the_gradient_is_reshaped_back() {
    let x = [Generator::new(2).normal_tensor([3, 4])];
    // Multiplied by a factor of the new shape, so that a gradient in the wrong order is detected.
    let factor = Generator::new(3).normal_tensor([2, 6]);
    law::gradient(
        "reshape",
        &x,
        |x| x[0].reshape([2, 6]) * Var::constant(factor.upload(&x[0].value().device())),
        |x| Array::new([2, 6], x[0].data.iter().zip(factor.data()).map(|(x, &f)| x * f64::from(f)).collect()),
    );
}

#[test]
#[should_panic(expected = "reshape: [2, 3] to [7]")]
fn another_count_is_refused() {
    Tensor::zeros([2, 3]).reshape([7]);
}

/// The product of the sizes must not wrap around to 0, or to any other number.
#[test]
#[cfg_attr(panic = "abort", ignore = "it catches a panic")]
fn sizes_whose_product_overflows_are_refused() {
    let root = 1 << (usize::BITS / 2); // its square is the first number that does not fit
    for sizes in [&[root, root][..], &[3, usize::MAX / 2]] {
        let panic = std::panic::catch_unwind(|| Tensor::new(&[], sizes)).expect_err("no such tensor");
        let said = panic.downcast_ref::<String>().expect("a message");
        assert!(said.contains("has more elements than this machine can count"), "{said}");
    }
    for sizes in [[root, root, 0], [0, root, root]] {
        assert!(Tensor::new(&[], sizes).add_scalar(1.0).data().is_empty());
    }
}
