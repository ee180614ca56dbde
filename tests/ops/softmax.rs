//! logsumexp, log_softmax and softmax along every dimension, also for inputs whose exponentials would overflow.

use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use reference::softmax::{log_softmax, logsumexp, softmax};
use tensor::{Generator, Tensor};

fn case(rng: &mut Generator) -> (Tensor, usize) {
    let shape: Vec<usize> = (0..between(rng, 1, 4)).map(|_| between(rng, 1, 7)).collect();
    (rng.normal_tensor(&shape[..]).mul_scalar(3.0), rng.below(shape.len()))
}

#[test]
fn values_match_the_reference() {
    for mut rng in draws(80) {
        let (x, dim) = case(&mut rng);
        let what = format!("{} along {dim}", x.shape());
        // Not relative to the result: a sum of exponentials may be near 1, and its logarithm near 0.
        let x = [x];
        let largest = x[0].data().iter().fold(1.0f32, |m, x| m.max(x.abs()));
        let shifted = |y: Tensor| y.add_scalar(2.0 * largest);
        law::forward(
            &format!("logsumexp {what}"),
            &x,
            |x| shifted(x[0].logsumexp(dim)),
            |x| reference::map(&logsumexp(&x[0], dim), |y| y + f64::from(2.0 * largest)),
            Within::Largest(1e-6),
        );
        law::forward(
            &format!("log_softmax {what}"),
            &x,
            |x| shifted(x[0].log_softmax(dim)),
            |x| reference::map(&log_softmax(&x[0], dim), |y| y + f64::from(2.0 * largest)),
            Within::Largest(1e-6),
        );
    }
}

#[test]
fn softmax_and_its_gradient_match_the_reference() {
    for mut rng in draws(30) {
        let (x, dim) = case(&mut rng);
        let (x, what) = ([x], format!("along {dim}"));
        law::forward(&what, &x, |x| x[0].softmax(dim), |x| softmax(&x[0], dim), Within::Each(3e-6));
        let (x, what) = ([rng.normal_tensor([3, 4, 5])], rng.below(3));
        law::gradient("softmax", &x, |x| x[0].softmax(what), |x| softmax(&x[0], what));
    }
    let x = [Tensor::new(&[1e4, -1e4, 0.0, -1e4, -1e4, -1e4], [2, 3])];
    law::forward("softmax", &x, |x| x[0].softmax(1), |x| softmax(&x[0], 1), Within::Largest(1e-6));
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(30) {
        let shape: Vec<usize> = (0..between(&mut rng, 1, 4)).map(|_| between(&mut rng, 2, 6)).collect();
        let (x, dim) = ([rng.normal_tensor(&shape[..])], rng.below(shape.len()));
        law::gradient(
            &format!("logsumexp {shape:?} along {dim}"),
            &x,
            |x| x[0].logsumexp(dim),
            |x| logsumexp(&x[0], dim),
        );
        law::gradient(
            &format!("log_softmax {shape:?} along {dim}"),
            &x,
            |x| x[0].log_softmax(dim),
            |x| log_softmax(&x[0], dim),
        );
    }
}

#[test]
fn large_inputs_stay_finite() {
    for shift in [-1e4, 1e4] {
        let x = [Generator::new(3).normal_tensor([4, 9]).add_scalar(shift)];
        law::forward("logsumexp", &x, |x| x[0].logsumexp(1), |x| logsumexp(&x[0], 1), Within::Each(1e-6));
        everywhere(|device| {
            let leaf = autograd::Var::leaf(x[0].upload(device));
            let dy = Generator::new(4).normal_tensor([4, 9]).upload(device);
            let gradients = leaf.log_softmax(1).backward_with(dy);
            assert!(fetch(gradients.of(&leaf).expect("a gradient")).data().iter().all(|g| g.is_finite()));
        });
    }
    let x = [Tensor::new(&[1e4, -1e4, 0.0, -1e4, -1e4, -1e4], [2, 3])];
    law::forward("log_softmax", &x, |x| x[0].log_softmax(1), |x| log_softmax(&x[0], 1), Within::Largest(1e-6));
}

#[test]
fn a_logsumexp_of_infinities_is_infinite() {
    let (inf, most) = (f32::INFINITY, f32::MAX);
    let x = Tensor::new(&[inf, 0.0, inf, -inf, -inf, -inf, -inf, inf, -inf, most, -inf, 1.0], [4, 3]);
    let columns = x.transpose(0, 1);
    everywhere(|device| {
        for (x, dim) in [(&x, 1), (&columns, 0)] {
            let y = fetch(&x.upload(device).logsumexp(dim));
            assert_eq!(y.data(), [inf, -inf, inf, most], "{device} along {dim}");
        }
    });
    for (shape, dim) in [([2, 1], 0), ([1, 2], 1)] {
        assert!(Tensor::new(&[f32::NAN, inf], shape).logsumexp(dim).data()[0].is_nan());
    }
}

#[test]
fn of_no_rows_there_is_nothing() {
    everywhere(|device| {
        let x = Tensor::zeros([0, 3, 2]).upload(device);
        for (dim, without) in [(1, [0, 2]), (2, [0, 3])] {
            assert_eq!(fetch(&x.logsumexp(dim)).shape()[..], without);
            assert_eq!(*fetch(&x.softmax(dim)).shape(), *x.shape());
            assert_eq!(*fetch(&x.log_softmax(dim)).shape(), *x.shape());
        }
    });
}

#[test]
#[should_panic(expected = "log_softmax: [3, 0] has nothing along dimension 1")]
fn a_log_softmax_over_nothing_is_refused() {
    Tensor::zeros([3, 0]).log_softmax(1);
}

/// On some processors, products with numbers below 10⁻³⁸ take a hundred times as long.
#[test]
fn the_gradient_of_a_logsumexp_has_no_numbers_that_are_slow() {
    let x: Vec<f32> = (0..1200).map(|i| -0.1 * i as f32).collect();
    let exact = logsumexp_gradient(&x);
    everywhere(|device| {
        let leaf = autograd::Var::leaf(Tensor::new(&x, [1, x.len()]).upload(device));
        let gradients = leaf.logsumexp(1).sum_all().backward();
        let gradient = fetch(gradients.of(&leaf).expect("a gradient"));
        for (i, (g, exact)) in gradient.data().iter().zip(&exact).enumerate() {
            let g = f64::from(*g);
            let close = (g - exact).abs() < 1e-5 * exact + 1.1e-26;
            assert!(close && (g == 0.0 || g > 1e-37), "{device}: gradient {g:e} for {exact:e} at {i}");
        }
    });
}

/// e^(x − logsumexp(x)) in f64.
fn logsumexp_gradient(x: &[f32]) -> Vec<f64> {
    let sum: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
    x.iter().map(|&x| f64::from(x).exp() / sum).collect()
}

/// A common offset of the logits must not cost precision: an f32 near 10⁴ is precise to a thousandth, but the differences are
/// exact.
#[test]
fn a_log_softmax_depends_only_on_differences() {
    for mut rng in draws(10) {
        let x = [rng.normal_tensor([5, 8]).add_scalar(1e4)];
        law::forward("log_softmax", &x, |x| x[0].log_softmax(1), |x| log_softmax(&x[0], 1), Within::Largest(2e-6));
    }
}
