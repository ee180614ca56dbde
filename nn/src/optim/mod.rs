//! What moves parameters: [`Adam`] and learning-rate [`Schedule`]s. Gradients are clipped by [`tensor::Guard`].

mod adam;
mod schedule;

pub use adam::{Adam, AdamConfig};
pub use schedule::{Plateau, Schedule};
