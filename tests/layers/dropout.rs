//! Dropout sets a fraction p of the elements to zero and scales the rest by 1/(1 − p). Masks differ between steps and are the
//! same for the same step.

use autograd::Var;
use nn::{Dropout, ForwardContext, Layer};
use reference::place::{everywhere, fetch};
use tensor::{Device, Tensor};

#[test]
fn a_fraction_is_dropped_and_the_rest_is_scaled() {
    let x = Var::leaf(Tensor::full([200, 100], 3.0));
    let y = Dropout::new(0.25, 0).forward(&x, &ForwardContext::train(1, 1));
    let dropped = y.value().data().iter().filter(|&&y| y == 0.0).count();
    assert!((4_700..5_300).contains(&dropped), "{dropped} of 20,000 at a quarter"); // ± 5 standard deviations
    assert!(y.value().data().iter().all(|&y| y == 0.0 || (y - 4.0).abs() < 1e-6));
    // Dropped elements have no gradient, and the others have a scaled one.
    let value = y.value().clone();
    let gradients = y.backward_with(Tensor::full([200, 100], 1.5));
    let dx = gradients.of(&x).expect("a gradient");
    dx.data().iter().zip(value.data()).for_each(|(dx, y)| assert_eq!(*dx, if *y == 0.0 { 0.0 } else { 2.0 }));
}

#[test]
fn masks_depend_only_on_seed_step_and_stream() {
    let on = |device: &Device, seed, step, stream| {
        let x = Var::constant(Tensor::ones([1000]).upload(device));
        fetch(Dropout::new(0.5, stream).forward(&x, &ForwardContext::train(seed, step)).value()).data().to_vec()
    };
    let mask = |seed, step, stream| on(&Device::Cpu, seed, step, stream);
    everywhere(|device| assert_eq!(mask(1, 2, 3), on(device, 1, 2, 3)));
    for other in [mask(2, 2, 3), mask(1, 3, 3), mask(1, 2, 4)] {
        assert_ne!(mask(1, 2, 3), other);
    }
}

#[test]
fn evaluation_and_a_probability_of_zero_change_nothing() {
    let x = Var::constant(Tensor::full([50], 3.0));
    assert_eq!(Dropout::new(0.9, 0).forward(&x, &ForwardContext::eval()).value().data(), [3.0; 50]);
    assert_eq!(Dropout::new(0.0, 0).forward(&x, &ForwardContext::train(1, 1)).value().data(), [3.0; 50]);
}

#[test]
#[should_panic(expected = "probability 1 is not in [0, 1)")]
fn a_probability_of_one_is_refused() {
    Dropout::new(1.0, 0);
}
