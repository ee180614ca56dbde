//! The optimiser [`Adam`], learning-rate [`Schedule`]s, and [`Ema`], a moving average of the weights. [`tensor::GradientMonitor`] clips
//! gradients.

mod adam;
mod ema;
mod schedule;

pub use adam::{Adam, AdamConfig};
pub use ema::{Ema, SwappedIn};
pub use schedule::{Plateau, Schedule};
