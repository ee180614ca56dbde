//! What lies between tensors and the machine they are on: what is asked of it, what a real one does at its limits, and what
//! a whole training step costs.
#![forbid(unsafe_code)]

mod counting;
#[cfg(feature = "models")]
mod kinds;
mod limits;
#[cfg(feature = "models")]
mod step;
mod tiles;
