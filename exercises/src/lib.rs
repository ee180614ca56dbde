//! What the book's programs share: an engine of automatic differentiation for single numbers, a small VAE, and the pictures.
#![forbid(unsafe_code)]

pub mod pictures;
pub mod scalar;
pub mod vae;
