//! What moves parameters: [`Adam`], gradient clipping and learning-rate [`Schedule`]s.

mod adam;
mod schedule;

pub use adam::{Adam, AdamConfig, clip_gradients};
pub use schedule::{Plateau, Schedule};
