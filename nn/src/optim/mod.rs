//! [`Optimizer`]s, learning-rate [`Schedule`]s, and [`Ema`], a moving average of the weights. [`tensor::GradientMonitor`] clips the norm of
//! gradients, [`clip_values`] their elements.

mod ema;
mod optimizer;
mod schedule;

pub use ema::{Ema, SwappedIn};
pub use optimizer::{Group, Optimizer, clip_values};
pub use schedule::{Plateau, Schedule};
