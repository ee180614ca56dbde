//! Binary cross-entropy summed over rows, for sizes that do not fill a register, several rows of logits for one of targets, and logits
//! whose exponentials overflow.

use reference::bce::bce_with_logits;
use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use tensor::{Generator, Tensor};

/// Logits and targets from 0 to 1.
fn inputs(rng: &mut Generator) -> [Tensor; 2] {
    let [images, repeats, size] = [between(rng, 1, 5), between(rng, 1, 4), between(rng, 1, 70)];
    let logits = rng.normal_tensor([images * repeats, size]).mul_scalar(4.0);
    [logits, rng.uniform_tensor([images, size], 0.0, 1.0)]
}

fn large() -> [Tensor; 2] {
    let rng = &mut Generator::new(5);
    [rng.normal_tensor([60, 3001]), rng.uniform_tensor([20, 3001], 0.0, 1.0)]
}

#[test]
fn values_match_the_reference() {
    for x in draws(60).map(|mut rng| inputs(&mut rng)).chain([large()]) {
        let what = format!("bce_with_logits {} {}", x[0].shape(), x[1].shape());
        let value = |x: &[Tensor]| x[0].bce_with_logits(&x[1]);
        law::forward(&what, &x, value, |x| bce_with_logits(&x[0], &x[1]), Within::Each(3e-6));
    }
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(40) {
        let [logits, targets] = inputs(&mut rng);
        let exact = reference::Array::of(&targets);
        law::gradient(
            &format!("bce_with_logits {} {}", logits.shape(), targets.shape()),
            &[logits],
            |x| x[0].bce_with_logits(&targets.upload(&x[0].value().device())),
            |x| bce_with_logits(&x[0], &exact),
        );
    }
}

/// The loss of a sure and right logit is e^−|l|, which neither the other terms nor an overflow may hide.
#[test]
fn large_logits_are_exact_where_the_target_is_0_or_1() {
    let logits = Tensor::new(&[20.0, -20.0, 1e4, -1e4, 1e4, -1e4], [6, 1]);
    let targets = Tensor::new(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], [6, 1]);
    let small = (-20.0_f32).exp();
    everywhere(|device| {
        let [logits, targets] = [&logits, &targets].map(|x| x.upload(device));
        let values = fetch(&logits.bce_with_logits(&targets));
        for (value, exact) in values.data().iter().zip([small, small, 0.0, 0.0, 1e4, 1e4]) {
            assert!((value - exact).abs() <= 1e-6 * exact, "{device}: {value} for {exact}");
        }
        let dy = Tensor::ones([6]).upload(device);
        let gradients = fetch(&dy.bce_with_logits_gradient(&logits, &targets));
        for (value, exact) in gradients.data().iter().zip([-small, small, 0.0, 0.0, 1.0, -1.0]) {
            assert!((value - exact).abs() <= 6e-8, "{device}: gradient {value} for {exact}");
        }
    });
}

#[test]
fn nothing_has_no_loss() {
    everywhere(|device| {
        for [rows, images, size] in [[0, 0, 3], [0, 2, 3], [4, 2, 0]] {
            let [logits, targets] = [[rows, size], [images, size]].map(|shape| Tensor::zeros(shape).upload(device));
            let y = logits.bce_with_logits(&targets);
            assert_eq!(fetch(&y).data(), vec![0.0; rows], "{device}");
            assert_eq!(y.bce_with_logits_gradient(&logits, &targets).shape(), logits.shape());
        }
    });
}

#[test]
#[should_panic(expected = "bce_with_logits: logits [4, 3] for targets [2, 2]")]
fn rows_of_other_sizes_are_refused() {
    Tensor::zeros([4, 3]).bce_with_logits(&Tensor::zeros([2, 2]));
}

#[test]
#[should_panic(expected = "bce_with_logits: logits [4, 3] for targets [3, 3]")]
fn targets_whose_number_does_not_divide_the_logits_are_refused() {
    Tensor::zeros([4, 3]).bce_with_logits(&Tensor::zeros([3, 3]));
}
