//! Tests of devices: the requests that they get, a GPU at its limits, and the cost of a training step.
#![forbid(unsafe_code)]

mod counting;
#[cfg(feature = "models")]
mod kinds;
mod limits;
#[cfg(feature = "models")]
mod step;
mod tiles;
