//! What moves parameters: [`Adam`] and learning-rate [`Schedule`]s; and what follows them, an average, [`Ema`]. Gradients are clipped by [`tensor::GradientMonitor`].

mod adam;
mod ema;
mod schedule;

pub use adam::{Adam, AdamConfig};
pub use ema::Ema;
pub use schedule::{Plateau, Schedule};
