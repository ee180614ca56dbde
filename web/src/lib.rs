//! A variational autoencoder that trains in a browser, on WebGPU or on the CPU with WebAssembly's vectors.
//!
//! A page cannot wait, so a worker owns the model. `web/page/worker.js` answers the messages of the page
//! (`web/page/protocol.md`) with the methods of this crate:
//!
//! - [`laboratory`] builds a model, trains it for as long as the worker allows, changes β and the learning rate, and saves.
//! - [`frame`] computes what the page draws: the map of the latents, decoded images, reconstructions, feature maps.
//! - [`follow`] trains one batch and describes every step of it in numbers.
//! - [`exploration`] answers the page of the latent explorer, as `vae explore` does.
//! - `browser` converts all of this to JavaScript's objects. Only WebAssembly has it, so everything else is tested natively.

#![forbid(unsafe_code)]

#[cfg(target_arch = "wasm32")]
pub mod browser;
pub mod exploration;
pub mod follow;
pub mod frame;
pub mod laboratory;

pub use exploration::Exploration;
pub use laboratory::Laboratory;
