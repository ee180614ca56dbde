//! Losses. Unless its documentation says otherwise, a loss is summed over pixels (or latents) and averaged over the images of the
//! batch: (1/B) Σ_images Σ_pixels …. Reconstruction and KL then have the right proportion for any batch size. Losses are in nats: with
//! natural logarithms, one nat is 1/ln 2 ≈ 1.44 bits.

mod cross_entropy;
mod kl;
mod reconstruction;

pub use cross_entropy::cross_entropy;
pub use kl::{gaussian_kl, gaussian_kl_per_dim};
pub use reconstruction::{bce, half_sse, mse, sse};
