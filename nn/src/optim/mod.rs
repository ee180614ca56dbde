//! [`Optimizer`]s, learning-rate [`Schedule`]s, and [`Ema`], a moving average of the weights. [`tensor::GradientMonitor`] clips the norm of
//! gradients, [`clip_values`] their elements. [`scaled_loss`] is for training in f16.

mod ema;
mod loss_scale;
mod optimizer;
mod schedule;

pub use ema::{Ema, SwappedIn};
pub use loss_scale::scaled_loss;
pub use optimizer::{Group, Optimizer, clip_values};
pub use schedule::{Plateau, Schedule};
