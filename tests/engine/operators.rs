//! The operators on tensors and variables: with each other and with numbers, on either side, by value and by reference.

use autograd::Var;
use reference::place::{everywhere, fetch};
use tensor::Tensor;

/// Every form of an operator between `$a` and `$b` gives `$expected`, and so do those with a number.
macro_rules! forms {
    ($type:ident, $a:expr, $b:expr, $op:tt, $pair:expr, $after:expr, $before:expr) => {{
        let (a, b): (&$type, &$type) = (&$a, &$b);
        for y in [a $op b, a $op b.clone(), a.clone() $op b, a.clone() $op b.clone()] {
            assert_eq!(values(&y), $pair, "a {} b", stringify!($op));
        }
        for y in [a $op 3.0, a.clone() $op 3.0] {
            assert_eq!(values(&y), $after, "a {} 3", stringify!($op));
        }
        for y in [3.0 $op a, 3.0 $op a.clone()] {
            assert_eq!(values(&y), $before, "3 {} a", stringify!($op));
        }
    }};
}

macro_rules! all_operators {
    ($type:ident, $a:expr, $b:expr) => {
        forms!($type, $a, $b, +, [5.0, 0.0], [4.0, 1.0], [4.0, 1.0]);
        forms!($type, $a, $b, -, [-3.0, -4.0], [-2.0, -5.0], [2.0, 5.0]);
        forms!($type, $a, $b, *, [4.0, -4.0], [3.0, -6.0], [3.0, -6.0]);
        forms!($type, $a, $b, /, [0.25, -1.0], [1.0 / 3.0, -2.0 / 3.0], [3.0, -1.5]);
        assert_eq!(values(&-&$a), [-1.0, 2.0]);
        assert_eq!(values(&-$a.clone()), [-1.0, 2.0]);
    };
}

#[test]
fn every_form_computes_the_same() {
    everywhere(|device| {
        fn values(x: &Tensor) -> Vec<f32> {
            fetch(x).data().to_vec()
        }
        let [a, b] = [[1.0, -2.0], [4.0, 2.0]].map(|x| Tensor::new(&x, [2]).upload(device));
        all_operators!(Tensor, a, b);
    });
    everywhere(|device| {
        fn values(x: &Var) -> Vec<f32> {
            fetch(x.value()).data().to_vec()
        }
        let [a, b] = [[1.0, -2.0], [4.0, 2.0]].map(|x| Var::leaf(Tensor::new(&x, [2]).upload(device)));
        all_operators!(Var, a, b);
    });
}

#[test]
fn gradients_pass_through_operators_with_numbers() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::new(&[2.0, -4.0], [2]).upload(device));
        let y = 3.0 - (&x * 2.0 + 1.0) / 4.0 + 8.0 / &x - (-&x);
        let gradients = y.sum_all().backward();
        assert_eq!(fetch(gradients.of(&x).expect("a gradient")).data(), [0.5 - 2.0, 0.5 - 0.5]);
    });
}

#[test]
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))] // it waits for a device
fn a_single_element_is_an_item() {
    everywhere(|device| {
        assert_eq!(Tensor::full([1, 1], 2.5).upload(device).item(), 2.5);
        assert_eq!(Var::leaf(Tensor::scalar(-1.5).upload(device)).item(), -1.5);
        let there = Tensor::ones([3]).upload(device);
        assert_eq!((there.cpu().device(), there.cpu().data().to_vec()), (tensor::Device::Cpu, vec![1.0; 3]));
    });
}

#[test]
#[should_panic(expected = "item: [2] is not one number")]
fn two_elements_are_no_item() {
    Tensor::ones([2]).item();
}
