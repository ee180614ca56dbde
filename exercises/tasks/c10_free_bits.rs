//! Free bits for each latent.
//!
//! With free bits, each latent may use λ nats without paying for them: its KL, averaged over the batch, counts as λ if it is smaller.
//!   Σ_d max(λ, mean_i KL[i, d])
//! `kl` is [images, latents]. Return the sum as a `Var` of one element. A latent below λ must get no gradient from it.

use crate::help::{Verdict, near, same};
use autograd::Var;
use tensor::Tensor;

pub fn free_bits(kl: &Var, lambda: f32) -> Var {
    todo!("the mean over images, at least λ for each latent, and their sum")
}

pub fn check(free_bits: fn(&Var, f32) -> Var) -> Verdict {
    let kl = Var::leaf(Tensor::new(&[0.0, 3.0, 0.8, 5.0], [2, 2])); // the means are 0.4 and 4
    let loss = free_bits(&kl, 0.5);
    let sentence = "for latents with the mean KLs 0.4 and 4, and λ = 0.5, the sum";
    near(sentence, f64::from(loss.value().sum_all().item()), 4.5, 1e-5)?;
    let gradients = loss.sum_all().backward();
    let found = gradients.of(&kl).cloned().ok_or("the sum does not depend on the KL, so nothing is learned from it")?;
    same("its gradient with respect to the KL", &found, &Tensor::new(&[0.0, 0.5, 0.0, 0.5], [2, 2]), 1e-5)
}
