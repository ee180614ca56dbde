//! Draws from Gaussians and their divergence from N(0, 1), for sizes that do not fill a register or a quad, and for the range of
//! `logvar` that models allow.

use autograd::Var;
use reference::gaussian::{gaussian_kl, reparameterise};
use reference::law::{self, Within, between, draws};
use tensor::{Generator, Tensor};

/// μ, `logvar` and ε of one shape.
fn inputs(rng: &mut Generator) -> [Tensor; 3] {
    let shape = [between(rng, 1, 9), between(rng, 1, 70)];
    [rng.normal_tensor(shape), rng.normal_tensor(shape).mul_scalar(2.0), rng.normal_tensor(shape)]
}

fn large() -> [Tensor; 3] {
    let rng = &mut Generator::new(7);
    let shape = [30, 2001];
    [rng.normal_tensor(shape), rng.uniform_tensor(shape, -30.0, 20.0), rng.normal_tensor(shape)]
}

#[test]
fn values_match_the_reference() {
    for x in draws(40).map(|mut rng| inputs(&mut rng)).chain([large()]) {
        let what = x[0].shape().to_string();
        // A sum may cancel, so the error is relative to the largest term.
        let size = x[1].data().iter().fold(1.0_f64, |size, &logvar| size.max(f64::from(logvar).exp()));
        law::forward(
            &format!("reparameterise {what}"),
            &x,
            |x| x[0].reparameterise(&x[1], &x[2]),
            |x| reparameterise(&x[0], &x[1], &x[2]),
            Within::By(2e-6 * size.sqrt()),
        );
        law::forward(
            &format!("gaussian_kl {what}"),
            &x[..2],
            |x| x[0].gaussian_kl(&x[1]),
            |x| gaussian_kl(&x[0], &x[1]),
            Within::By(2e-6 * size.max(10.0)),
        );
    }
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(30) {
        let x = inputs(&mut rng);
        let what = x[0].shape().to_string();
        let eps = x[2].clone();
        let noise = reference::Array::of(&eps);
        law::gradient(
            &format!("reparameterise {what}"),
            &x[..2],
            |x| x[0].reparameterise(&x[1], &eps.upload(&x[0].value().device())),
            |x| reparameterise(&x[0], &x[1], &noise),
        );
        law::gradient(
            &format!("gaussian_kl {what}"),
            &x[..2],
            |x| x[0].gaussian_kl(&x[1]),
            |x| gaussian_kl(&x[0], &x[1]),
        );
    }
}

/// Only what is wanted gets a gradient, and a draw passes that of μ on unchanged.
#[test]
fn a_constant_has_no_gradient() {
    let [mu, logvar, eps] = inputs(&mut Generator::new(3));
    let (mu, logvar) = (Var::leaf(mu), Var::constant(logvar));
    let gradients = mu.reparameterise(&logvar, &eps).sum_all().backward();
    assert!(gradients.of(&mu).unwrap().data().iter().all(|&g| g == 1.0));
    assert!(gradients.of(&logvar).is_none());
    let gradients = mu.gaussian_kl(&logvar).sum_all().backward();
    assert_eq!(gradients.of(&mu).unwrap().data(), mu.value().data());
}
