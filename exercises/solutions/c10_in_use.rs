//! Hint: The mean along dimension 0 has one number for each latent. `data().iter().filter(…).count()` counts.

use tensor::Tensor;

pub fn latents_in_use(mu: &Tensor, logvar: &Tensor) -> usize {
    let kl = (mu.square() + logvar.exp() - 1.0 - logvar) * 0.5;
    kl.mean(&[0], false).data().iter().filter(|kl| **kl > 0.1).count()
}
