//! What the book's programs share: an engine of automatic differentiation for single numbers, a small VAE, the pictures and the slides.
#![forbid(unsafe_code)]

pub mod pictures;
pub mod scalar;
pub mod slides;
pub mod vae;
