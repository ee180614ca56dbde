//! The terms of losses with a second player. f(x) is the score of a discriminator D(x) = sigmoid(f(x)), which is high for images of
//! the data and low for decoded ones, and φ(x) are the features of one of its layers.
//!
//! ```text
//! vae-gan      (Larsen et al., 1512.09300)
//! features        ½·Σ (φ(x) − φ(x̃))²                                  −ln N(φ(x); φ(x̃), I) without its constant, x̃ = decoder(z)
//! generator       mean softplus(−f(x̂))          = −mean ln D(x̂)        over decoded images x̂, of z ~ q(z|x) and of z ~ N(0, I)
//! discriminator   ½·mean softplus(−f(x)) + ½·mean softplus(f(x̂))      = −½·mean ln D(x) − ½·mean ln(1 − D(x̂))
//!
//! soft-intro   (Daniel and Tamar, 2012.13253, eq. 4)
//! exp_elbo        mean exp(−2s·(L(x̂) + β_neg·KL(x̂)))                  L: reconstruction error of a decoded draw x̂ from the prior
//! ```
//!
//! The paper of the VAE-GAN lets the decoder maximise the loss of the discriminator. Where D is sure, that loss has no gradient, so
//! `generator` is the form that is used instead (Goodfellow et al., 1406.2661). It has the same optimum.

use autograd::Var;

/// Returns half of the squared distance of the features of each image `[B, …]` and its reconstruction, averaged over images.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn feature_distance(image: &Var, reconstruction: &Var) -> Var {
    let images = image.shape()[0] as f32;
    (reconstruction - image).square().sum_all().mul_scalar(0.5 / images)
}

/// Returns the loss of a generator for the scores f of its images.
pub fn generator_loss(scores: &Var) -> Var {
    scores.mul_scalar(-1.0).softplus().mean_all()
}

/// Returns the loss of a discriminator for the scores f of images of the data and of decoded images. It is ln 2 if all are equal
/// to 0.
pub fn discriminator_loss(real: &Var, decoded: &Var) -> Var {
    (generator_loss(real) + decoded.softplus().mean_all()).mul_scalar(0.5)
}

/// Returns the mean of the exponentials of 2s·(−L − β_neg·KL) for the reconstruction errors and the KLs of images, `[B]` each.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn exp_elbo(errors: &Var, kl: &Var, beta_neg: f64, scale: f64) -> Var {
    (errors + kl.mul_scalar(beta_neg as f32)).mul_scalar(-2.0 * scale as f32).exp().mean_all()
}

#[cfg(test)]
mod tests {
    use autograd::check::{self, Array};
    use tensor::{Device, Generator, Tensor};

    use super::*;

    fn checked(op: impl Fn(&[Var]) -> Var, reference: impl Fn(&[Array]) -> f64, inputs: &[Tensor]) {
        let reference = |inputs: &[Array]| Array::new([], vec![reference(inputs)]);
        let checked = pollster::block_on(check::gradients(&Device::Cpu, op, reference, inputs, 7));
        checked.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    }

    fn mean(numbers: &[f64], f: impl Fn(f64) -> f64) -> f64 {
        numbers.iter().map(|&x| f(x)).sum::<f64>() / numbers.len() as f64
    }

    /// The probability that an image is one of the data.
    fn d(score: f64) -> f64 {
        1.0 / (1.0 + (-score).exp())
    }

    #[test]
    fn each_term_is_its_formula_in_value_and_gradient() {
        let mut rng = Generator::new(2);
        let [a, b] = [0, 1].map(|_| rng.normal_tensor([3, 2, 2, 2]));
        let apart =
            |x: &[Array]| x[0].data.iter().zip(&x[1].data).map(|(a, b)| 0.5 * (a - b).powi(2)).sum::<f64>() / 3.0;
        checked(|x| feature_distance(&x[0], &x[1]), apart, &[a, b]);
        let [real, decoded] = [4, 6].map(|count| rng.normal_tensor([count, 1]).mul_scalar(3.0));
        checked(|x| generator_loss(&x[0]), |x| mean(&x[0].data, |f| -d(f).ln()), std::slice::from_ref(&decoded));
        let cross_entropy =
            |x: &[Array]| 0.5 * mean(&x[0].data, |f| -d(f).ln()) + 0.5 * mean(&x[1].data, |f| -(1.0 - d(f)).ln());
        checked(|x| discriminator_loss(&x[0], &x[1]), cross_entropy, &[real, decoded]);
        let [errors, kl] = [5.0, 0.3].map(|size| rng.uniform_tensor([4], 0.0, size));
        let bound = |x: &[Array]| {
            let each = x[0].data.iter().zip(&x[1].data).map(|(error, kl)| (-0.2 * (error + 7.0 * kl)).exp());
            each.sum::<f64>() / 4.0
        };
        checked(|x| exp_elbo(&x[0], &x[1], 7.0, 0.1), bound, &[errors, kl]);
    }

    #[test]
    fn who_cannot_tell_them_apart_has_a_loss_of_ln_2() {
        let equal = Var::constant(Tensor::zeros([5, 1]));
        let loss = discriminator_loss(&equal, &equal).item();
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6, "{loss}");
        assert_eq!(exp_elbo(&equal, &equal, 3.0, 1.0).item(), 1.0);
    }
}
