//! Draws from Gaussians and their divergence from the standard one, element by element.

use crate::{Array, binary::broadcast};

/// μ + e^(logvar/2)·ε.
pub fn reparameterise(mu: &Array, logvar: &Array, eps: &Array) -> Array {
    let noise = broadcast(logvar, eps, |logvar, eps| (logvar / 2.0).exp() * eps);
    broadcast(mu, &noise, |mu, noise| mu + noise)
}

/// ½ (μ² + e^logvar − 1 − logvar).
pub fn gaussian_kl(mu: &Array, logvar: &Array) -> Array {
    broadcast(mu, logvar, |mu, logvar| (mu * mu + logvar.exp() - 1.0 - logvar) / 2.0)
}
