//! The KL divergence of N(μ, σ²) from N(0, 1), per latent:  ½ (μ² + σ² − 1 − ln σ²) ≥ 0, in nats.   mu, logvar: [batch, latents].
//! dμ = μ,  dlogvar = ½ (σ² − 1).

use autograd::Var;

/// KL(N(μ, σ²) ‖ N(0, 1)) of each latent of each image, in nats: ½ (μ² + σ² − 1 − ln σ²), `logvar` = ln σ². All shapes
/// `[batch, latents]`. (Kingma and Welling, 1312.6114, appendix B.)
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn gaussian_kl_per_dim(mu: &Var, logvar: &Var) -> Var {
    mu.gaussian_kl(logvar)
}

/// KL(N(μ, σ²) ‖ N(0, I)) of each image, in nats, summed over its latents: mu, logvar `[batch, latents]` → `[batch]`.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn gaussian_kl(mu: &Var, logvar: &Var) -> Var {
    gaussian_kl_per_dim(mu, logvar).sum(&[1], false)
}
