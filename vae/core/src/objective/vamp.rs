//! The VampPrior (Tomczak and Welling, 1705.07120, eq. 9): the prior is a mixture of the posteriors of K pseudo-inputs u_k, which
//! are trained with the model.
//!
//! ```text
//! p(z) = 1/K Σ_k q(z|u_k)
//! KL(q(z|x) ‖ p) ≈ ln q(z|x) − ln p(z),   z ~ q(z|x)
//! ```
//!
//! The KL has no closed form. It is estimated from the draw z of each image, without bias; the estimate of one image may be negative.

use autograd::Var;

use super::latent_terms::{log_density, pair_densities};

/// Returns ln p(z) of each z `[batch, z]` in nats, `[batch]`. `mu` and `logvar` are the posteriors of the pseudo-inputs, `[K, z]`.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn log_mixture(z: &Var, mu: &Var, logvar: &Var) -> Var {
    let count = mu.shape()[0] as f32;
    pair_densities(z, mu, logvar).sum(&[2], false).logsumexp(1).add_scalar(-count.ln())
}

/// Returns ln q(z|x) − ln p(z) of each image in nats, `[batch]`: an estimate of the KL. `posterior` are mu and logvar of the images,
/// `[batch, z]`, and `pseudo` those of the pseudo-inputs, `[K, z]`.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn vamp_kl(z: &Var, posterior: [&Var; 2], pseudo: [&Var; 2]) -> Var {
    let own = log_density(z, posterior[0], posterior[1]).sum(&[1], false);
    own - log_mixture(z, pseudo[0], pseudo[1])
}

#[cfg(test)]
mod tests {
    use tensor::{Generator, Tensor};

    use super::*;

    fn var(rng: &mut Generator, shape: [usize; 2]) -> Var {
        Var::leaf(rng.normal_tensor(shape))
    }

    /// The reference computes each density in f64.
    #[test]
    fn the_mixture_is_the_mean_of_the_posteriors() {
        let mut rng = Generator::new(4);
        let [z, mu, logvar] = [var(&mut rng, [3, 2]), var(&mut rng, [5, 2]), var(&mut rng, [5, 2])];
        let found = log_mixture(&z, &mu, &logvar);
        for (i, found) in found.value().data().iter().enumerate() {
            let density = |k: usize| -> f64 {
                let each = (0..2).map(|d| {
                    let at = |var: &Var, row: usize| f64::from(var.value().data()[2 * row + d]);
                    let variance = at(&logvar, k).exp();
                    let square = (at(&z, i) - at(&mu, k)).powi(2);
                    (-0.5 * square / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
                });
                each.product()
            };
            let expected = ((0..5).map(density).sum::<f64>() / 5.0).ln();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found}, expected {expected}");
        }
    }

    /// With one pseudo-input whose posterior is N(0, 1), the mean over many draws is the closed form of the KL.
    #[test]
    fn one_standard_pseudo_input_gives_the_kl_of_a_standard_prior() {
        let mut rng = Generator::new(8);
        let n = 40_000;
        let (mu, logvar) = (Var::constant(Tensor::full([n, 1], 0.8)), Var::constant(Tensor::full([n, 1], -1.0)));
        let z = mu.reparameterise(&logvar, &rng.normal_tensor([n, 1]));
        let zero = Var::constant(Tensor::zeros([1, 1]));
        let estimate = vamp_kl(&z, [&mu, &logvar], [&zero, &zero]).mean_all().item();
        let exact = nn::loss::gaussian_kl_per_dim(&mu, &logvar).mean_all().item();
        assert!((estimate - exact).abs() < 0.02, "{estimate}, expected {exact}");
    }

    /// If the only pseudo-input is the image itself, posterior and prior are equal, and every estimate is 0.
    #[test]
    fn an_image_is_as_probable_under_a_prior_of_itself() {
        let mut rng = Generator::new(6);
        let [mu, logvar] = [var(&mut rng, [1, 4]), var(&mut rng, [1, 4])];
        let z = mu.reparameterise(&logvar, &rng.normal_tensor([1, 4]));
        assert!(vamp_kl(&z, [&mu, &logvar], [&mu, &logvar]).item().abs() < 1e-5);
    }
}
