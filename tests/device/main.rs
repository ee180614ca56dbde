//! Tests of devices: the requests that they get, a GPU at its limits, tensors of f16, and the cost of a training step.
#![forbid(unsafe_code)]

mod counting;
mod dtype;
#[cfg(feature = "models")]
mod kinds;
mod limits;
#[cfg(feature = "models")]
mod step;
mod tiles;
