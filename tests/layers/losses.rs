//! Losses are sums over pixels and means over images, and their gradients follow from their formulas.

use approx::assert_relative_eq;
use autograd::Var;
use nn::loss;
use reference::place::{everywhere, fetch};
use reference::{Array, build, law};
use tensor::{Generator, Tensor};

/// Σ f(a, b) over all elements, divided by `by`, as a scalar.
fn total(a: &Array, b: &Array, by: f64, f: impl Fn(f64, f64) -> f64) -> Array {
    build([], |[]| a.data.iter().zip(&b.data).map(|(&a, &b)| f(a, b)).sum::<f64>() / by)
}

#[test]
fn reconstruction_losses_are_their_formulas() {
    for mut rng in law::draws(5) {
        let shape = [3, 2, 4, 5]; // three images of forty elements
        let (output, target) = (rng.normal_tensor(shape), rng.uniform_tensor(shape, 0.0, 1.0));
        let exact = Array::of(&target);
        let x = [output];
        let squares = |a: f64, b: f64| (a - b).powi(2);
        let target = |x: &Var| target.upload(&x.value().device());
        law::gradient("sse", &x, |x| loss::sse(&x[0], &target(&x[0])), |x| total(&x[0], &exact, 3.0, squares));
        law::gradient(
            "half_sse",
            &x,
            |x| loss::half_sse(&x[0], &target(&x[0])),
            |x| total(&x[0], &exact, 6.0, squares),
        );
        law::gradient("mse", &x, |x| loss::mse(&x[0], &target(&x[0])), |x| total(&x[0], &exact, 120.0, squares));
        let entropy = |l: f64, t: f64| -(t * -(-l).exp().ln_1p() + (1.0 - t) * -l.exp().ln_1p());
        law::gradient("bce", &x, |x| loss::bce(&x[0], &target(&x[0])), |x| total(&x[0], &exact, 3.0, entropy));
    }
}

/// ln(1 + e¹⁰⁰) is 100 and its complement 0. Neither they nor their gradients may overflow or become NaN.
#[test]
fn bce_is_stable_at_a_hundred() {
    everywhere(|device| {
        let logits = Var::leaf(Tensor::new(&[100.0, -100.0, 100.0, -100.0, 1e4], [1, 5]).upload(device));
        let y = loss::bce(&logits, &Tensor::new(&[1.0, 0.0, 0.0, 1.0, 0.0], [1, 5]).upload(device));
        assert_relative_eq!(fetch(y.value()).data()[0], 10_200.0, max_relative = 1e-6);
        let gradients = y.backward();
        let dx = fetch(gradients.of(&logits).expect("a gradient"));
        let dx = dx.data();
        assert!(dx[0].abs() < 1e-30 && dx[1].abs() < 1e-30, "{dx:?}");
        assert_eq!(dx[2..], [1.0, -1.0, 1.0]);
    });
}

#[test]
fn gaussian_kl_is_its_formula() {
    for mut rng in law::draws(5) {
        let x = [rng.normal_tensor([4, 3]), rng.uniform_tensor([4, 3], -3.0, 1.5)];
        let kl = |m: f64, v: f64| -0.5 * (1.0 + v - m * m - v.exp());
        let each = |x: &[Array]| reference::binary::broadcast(&x[0], &x[1], kl);
        law::gradient("a latent", &x, |x| loss::gaussian_kl_per_dim(&x[0], &x[1]), each);
        law::gradient(
            "an image",
            &x,
            |x| loss::gaussian_kl(&x[0], &x[1]),
            |x| reference::reduce::sum(&each(x), &[1], false),
        );
    }
}

#[test]
fn gaussian_kl_at_known_places() {
    let kl = |mu: &[f32], logvar: &[f32]| {
        let of = |x: &[f32]| Var::constant(Tensor::new(x, [1, x.len()]));
        loss::gaussian_kl(&of(mu), &of(logvar)).value().data()[0]
    };
    assert_relative_eq!(kl(&[1.0, 0.0], &[0.0, 0.0]), 0.5, max_relative = 1e-6);
    assert_relative_eq!(kl(&[1.0, -2.0], &[4.0f32.ln(), 0.25f32.ln()]), 3.625, max_relative = 1e-6);
    assert_relative_eq!(kl(&[0.5; 4], &[-1.0; 4]), 1.235_758_9, max_relative = 1e-6);
    assert_eq!(kl(&[0.0; 3], &[0.0; 3]), 0.0);
}

#[test]
fn cross_entropy_is_its_formula() {
    for mut rng in law::draws(5) {
        let labels = [2usize, 0, 3, 3, 1];
        let index = Tensor::new(&labels.map(|l| l as f32), [5]);
        let x = [rng.normal_tensor([5, 4])];
        law::gradient(
            "cross_entropy",
            &x,
            |x| loss::cross_entropy(&x[0], &index.upload(&x[0].value().device())),
            |x| {
                let picked = reference::gather::gather(&reference::softmax::log_softmax(&x[0], 1), &labels);
                build([], |[]| -picked.data.iter().sum::<f64>() / 5.0)
            },
        );
    }
    // A uniform guess of ten classes costs ln 10.
    let blank = loss::cross_entropy(&Var::constant(Tensor::zeros([3, 10])), &Tensor::zeros([3]));
    assert_relative_eq!(blank.value().data()[0], 10.0f32.ln(), max_relative = 1e-6);
}

#[test]
#[should_panic(expected = "sse: [2, 3] for images [3, 2]")]
fn other_shapes_are_refused_with_both() {
    loss::sse(&Var::constant(Tensor::zeros([2, 3])), &Tensor::zeros([3, 2]));
}

/// The loss of two batches, weighted by their sizes, is the loss of both together.
#[test]
fn a_loss_is_a_mean_over_images() {
    let mut rng = Generator::new(9);
    let (x, t) = (rng.normal_tensor([5, 7]), rng.normal_tensor([5, 7]));
    let of = |start, length| {
        let part = |x: &Tensor| x.slice(0, start, length);
        f64::from(loss::sse(&Var::constant(part(&x)), &part(&t)).value().data()[0]) * length as f64
    };
    assert_relative_eq!(of(0, 2) + of(2, 3), of(0, 5), max_relative = 1e-6);
}
