//! A value that is used more than once gets the sum of its gradients, in any order.

use autograd::Var;
use reference::place::{everywhere, fetch};
use reference::{Array, compare, interpolate, law};
use tensor::{Conv, ConvTranspose, Generator, Interpolation, Tensor};

const UP: Interpolation = Interpolation::Bilinear { align_corners: false };

fn numbers(x: &Array, f: impl Fn(f64) -> f64) -> Array {
    reference::map(x, f)
}

/// The gradients of a resizing and of a multiplication arrive in either order. The first is stored and the second added in
/// place, so both orders must be correct.
#[test]
fn a_resized_value_and_its_multiple_in_either_order() {
    let x = [Generator::new(1).normal_tensor([2, 3, 4, 5])];
    let up = |x: &Var| x.interpolate([4, 5], UP);
    let larger = |x: &Var| x.interpolate([8, 10], UP).interpolate([4, 5], UP);
    let exact = |x: &[Array]| reference::binary::broadcast(&x[0], &numbers(&x[0], |x| 3.0 * x), |a, b| a + b);
    let there_and_back = |x: &[Array]| {
        let larger = interpolate::interpolate(&x[0], [8, 10], UP);
        let back = interpolate::interpolate(&larger, [4, 5], UP);
        reference::binary::broadcast(&back, &x[0], |a, b| a + 3.0 * b)
    };
    law::gradient("up(x) + 3x", &x, |x| up(&x[0]) + x[0].mul_scalar(3.0), exact);
    law::gradient("3x + up(x)", &x, |x| x[0].mul_scalar(3.0) + up(&x[0]), exact);
    law::gradient("down(up(x)) + 3x", &x, |x| larger(&x[0]) + x[0].mul_scalar(3.0), there_and_back);
    law::gradient("3x + down(up(x))", &x, |x| x[0].mul_scalar(3.0) + larger(&x[0]), there_and_back);
}

/// The gradient of a convolution's input is added to an earlier gradient at once. Both gradients of `x + conv(x)` are one tensor.
#[test]
fn a_convolved_value_and_its_multiple_in_either_order() {
    let rng = &mut Generator::new(8);
    let inputs = [rng.normal_tensor([2, 3, 5, 4]), rng.normal_tensor([3, 3, 3, 3])];
    let conv = Conv { stride: 1, padding: 1 };
    let transposed = ConvTranspose { stride: 1, padding: 1, output_padding: 0 };
    let plus = |x: &Array, y: &Array| reference::binary::broadcast(x, y, |x, y| x + y);
    let same = |x: &[Array]| plus(&x[0], &reference::conv2d::conv2d(&x[0], &x[1], None, conv));
    let back =
        |x: &[Array]| plus(&x[0], &reference::conv_transpose2d::conv_transpose2d(&x[0], &x[1], None, transposed));
    let c = |x: &[Var]| x[0].conv2d(&x[1], None, conv);
    let t = |x: &[Var]| x[0].conv_transpose2d(&x[1], None, transposed);
    law::gradient("conv(x) + x", &inputs, |x| c(x) + &x[0], same);
    law::gradient("x + conv(x)", &inputs, |x| &x[0] + c(x), same);
    law::gradient("transposed(x) + x", &inputs, |x| t(x) + &x[0], back);
    law::gradient("x + transposed(x)", &inputs, |x| &x[0] + t(x), back);
    law::gradient("x·1 + conv(x)", &inputs, |x| x[0].mul_scalar(1.0) + c(x), same);
    let twice = |x: &[Array]| plus(&same(x), &back(x));
    law::gradient("both and x twice", &inputs, |x| c(x) + &x[0] + t(x) + &x[0], twice);
}

#[test]
fn a_value_used_twice_by_one_operation() {
    let x = [Generator::new(2).normal_tensor([3, 4])];
    law::gradient("x·x", &x, |x| &x[0] * &x[0], |x| numbers(&x[0], |x| x * x));
    law::gradient("x + x", &x, |x| &x[0] + &x[0], |x| numbers(&x[0], |x| 2.0 * x));
    law::gradient("x − x·x", &x, |x| &x[0] - &x[0] * &x[0], |x| numbers(&x[0], |x| x - x * x));
    law::gradient(
        "x beside x",
        &x,
        |x| Var::concat(&[&x[0], &x[0]], 0),
        |x| reference::layout::concat(&[&x[0], &x[0]], 0),
    );
    law::gradient("x·xᵀ", &x, |x| x[0].matmul_nt(&x[0]), |x| reference::matmul::nt(&x[0], &x[0]));
}

/// x → a, b → a·b + a: both gradients of a must be added before x gets any.
#[test]
fn a_diamond() {
    let x = [Generator::new(3).uniform_tensor([7], 0.5, 2.0)];
    let exact = |x: &[Array]| numbers(&x[0], |x| x.exp() * x.ln() + x.exp());
    law::gradient(
        "eˣ·ln x + eˣ",
        &x,
        |x| {
            let (a, b) = (x[0].exp(), x[0].log());
            &a * &b + &a
        },
        exact,
    );
    law::gradient(
        "eˣ + ln x·eˣ",
        &x,
        |x| {
            let (b, a) = (x[0].log(), x[0].exp());
            &a + &b * &a
        },
        exact,
    );
}

#[test]
fn many_uses_all_count() {
    everywhere(|device| {
        let x = Var::leaf(Tensor::full([3], 2.0).upload(device));
        let none = Var::constant(Tensor::zeros([3]).upload(device));
        let sum = (1..=100).fold(none, |sum, i| sum + x.mul_scalar(i as f32));
        let gradients = sum.backward_with(Tensor::new(&[1.0, 10.0, 0.5], [3]).upload(device));
        assert_eq!(fetch(gradients.of(&x).expect("a gradient")).data(), [5050.0, 50_500.0, 2525.0]);
    });
}

/// The gradient of a broadcast operand is summed to its shape before it is added to an existing gradient.
#[test]
fn broadcast_gradients_are_summed_before_they_are_added() {
    let mut rng = Generator::new(4);
    let inputs = [rng.normal_tensor([3, 1]), rng.normal_tensor([2, 3, 4])];
    let exact = |x: &[Array]| {
        let square = numbers(&x[0], |x| x * x);
        let product = reference::binary::broadcast(&x[0], &x[1], |a, b| a * b);
        reference::binary::broadcast(&product, &square, |a, b| a + b)
    };
    law::gradient("a·b + a²", &inputs, |x| &x[0] * &x[1] + x[0].square(), exact);
    law::gradient("a² + a·b", &inputs, |x| x[0].square() + &x[0] * &x[1], exact);
}

/// `y = a + b` passes one gradient to both operands. Adding to a's gradient must not change b's.
#[test]
fn adding_to_a_shared_gradient_does_not_change_the_other() {
    everywhere(|device| {
        let [a, b] = [0; 2].map(|_| Var::leaf(Tensor::ones([5000]).upload(device)));
        let twice = a.mul_scalar(10.0); // its gradient reaches a after that of the sum
        let y = twice + (&a + &b);
        let gradients = y.backward_with(Tensor::ones([5000]).upload(device));
        assert_eq!(fetch(gradients.of(&a).expect("a gradient")).data(), vec![11.0; 5000]);
        assert_eq!(fetch(gradients.of(&b).expect("a gradient")).data(), vec![1.0; 5000]);
    });
}

/// The same with a reshape, whose result shares its elements with its input.
#[test]
fn a_shared_gradient_behind_a_reshape_is_not_written_to() {
    everywhere(|device| {
        let (a, b) = (Tensor::ones([4, 5]).upload(device), Tensor::ones([20]).upload(device));
        let (a, b) = (Var::leaf(a), Var::leaf(b));
        let y = a.reshape([20]) + &b + b.mul_scalar(2.0) + a.mul_scalar(3.0).reshape([20]);
        let seed = Tensor::full([20], 2.0).upload(device);
        let gradients = y.backward_with(seed.clone());
        assert_eq!(fetch(gradients.of(&a).expect("a gradient")).data(), vec![8.0; 20]);
        assert_eq!(fetch(gradients.of(&b).expect("a gradient")).data(), vec![6.0; 20]);
        assert_eq!(fetch(&seed).data(), vec![2.0; 20], "the seed is the caller's");
    });
}

#[test]
fn backward_is_backward_with_one() {
    let x = Generator::new(5).normal_tensor([6]);
    let gradient = |f: &dyn Fn(Var) -> autograd::Gradients| {
        let leaf = Var::leaf(x.clone());
        f(leaf.square().sum_all()).of(&leaf).expect("a gradient").clone()
    };
    let plain = gradient(&|y| y.backward());
    compare::assert_same_bits("the gradient", &plain, &gradient(&|y| y.backward_with(Tensor::scalar(1.0))));
    compare::assert_same_bits("the gradient", &plain, &x.mul_scalar(2.0));
}

/// Gradients of two passes are added leaf by leaf. A leaf that only one of them has keeps its gradient.
#[test]
fn gradients_of_two_passes_are_added() {
    let number = |x: f32| Var::leaf(Tensor::scalar(x));
    let (a, b, c) = (number(2.0), number(3.0), number(5.0));
    let mut sum = (&a * &b).backward();
    sum.add((&a * &c).backward());
    let of = |leaf: &Var| sum.of(leaf).unwrap().data()[0];
    assert_eq!([of(&a), of(&b), of(&c)], [3.0 + 5.0, 2.0, 2.0]);
}
