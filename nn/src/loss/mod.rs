//! Losses. Unless it says otherwise, a loss is summed over pixels (or latents) and averaged over the images of the batch:
//! (1/B) Σ_images Σ_pixels …, so that a batch of 65 images counts as 65, and reconstruction and KL stay in proportion.

mod cross_entropy;
mod kl;
mod reconstruction;

pub use cross_entropy::cross_entropy;
pub use kl::{gaussian_kl, gaussian_kl_per_dim};
pub use reconstruction::{bce, half_sse, mse, sse};
