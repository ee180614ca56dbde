//! What the book's programs share: an engine of automatic differentiation for single numbers, and the pictures.
#![forbid(unsafe_code)]

pub mod pictures;
pub mod scalar;
