//! Hint: A mean over n numbers is their sum with the weight 1/n. Write down both weights and divide.

pub fn effective_beta(beta: f64, pixels: f64, latents: f64, mean_over_pixels: bool, mean_over_latents: bool) -> f64 {
    let weight_of_kl = if mean_over_latents { beta / latents } else { beta };
    let weight_of_reconstruction = if mean_over_pixels { 1.0 / pixels } else { 1.0 };
    weight_of_kl / weight_of_reconstruction
}
