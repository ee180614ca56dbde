//! Tensors are values: a tensor does not change when another one that shares its elements is written.

use autograd::{Param, Var};
use reference::place::{everywhere, fetch};
use tensor::{GradientMonitor, Tensor};

#[test]
fn writing_to_a_shared_tensor_copies_it_first() {
    let mut a = Tensor::ones([2000]);
    let (held, reshaped) = (a.clone(), a.reshape([40, 50]));
    a.data_mut()[0] = 9.0;
    assert_eq!((a.data()[0], held.data()[0], reshaped.data()[0]), (9.0, 1.0, 1.0));
    let address = a.data().as_ptr();
    a.data_mut()[1] = 8.0;
    assert_eq!(a.data().as_ptr(), address, "nobody else holds it: in place");
}

#[test]
fn adding_to_a_shared_tensor_copies_it_first() {
    everywhere(|device| {
        let mut a = Tensor::ones([2000]).upload(device);
        let held = a.clone();
        a.add_assign(&held);
        assert_eq!((fetch(&a).data()[5], fetch(&held).data()[5]), (2.0, 1.0));
    });
}

/// A rule saves the values that it needs. Changing a parameter between forward and backward must not change them.
#[test]
fn changing_a_parameter_does_not_change_the_history() {
    let p = Param::new(Tensor::full([2000], 3.0));
    let y = p.var().square().sum_all();
    p.update(|value| value.data_mut().fill(100.0));
    let mut gradients = y.backward();
    assert_eq!(gradients.take(&p).expect("a gradient").data(), vec![6.0; 2000]);
    assert_eq!(p.value().data(), vec![100.0; 2000]);
}

/// The optimiser writes to parameters. A value that a computation still uses keeps its elements.
#[test]
fn adam_does_not_change_a_value_that_a_computation_uses() {
    everywhere(|device| {
        let p = Param::new(Tensor::full([2000], 3.0).upload(device));
        let held = p.var();
        let mut gradients = p.var().square().sum_all().backward();
        let mut adam = nn::optim::Optimizer::adam();
        adam.step_with(&[("p".into(), p.clone())], &mut gradients, 0.5, &GradientMonitor::new(1, device));
        assert_eq!(fetch(held.value()).data(), vec![3.0; 2000]);
        let moved = fetch(&p.value());
        assert!(moved.data().iter().all(|&v| (v - 2.5).abs() < 1e-5), "a first step is the learning rate long");
    });
}

#[test]
fn gradients_belong_to_the_caller() {
    let x = Var::leaf(Tensor::ones([2000]));
    let seed = Tensor::full([2000], 2.0);
    let gradients = x.add_scalar(1.0).backward_with(seed.clone());
    let mut gradient = gradients.of(&x).expect("a gradient").clone();
    gradient.data_mut().fill(0.0);
    assert_eq!(gradients.of(&x).expect("a gradient").data(), vec![2.0; 2000]);
    assert_eq!(seed.data(), vec![2.0; 2000]);
}
