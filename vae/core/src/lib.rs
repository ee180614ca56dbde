//! Variational autoencoders: configuration, models, objectives and training on images in memory.
//!
//! The modules in reading order:
//!
//! - [`config`] describes a run; [`recipe`] contains ready-made configurations.
//! - [`data`] holds images.
//! - [`model`] maps images to latents and latents to images.
//! - [`objective`] computes the loss.
//! - [`learn`] combines a model and an objective into a [`learn::Learner`].
//! - [`predict`] uses a model: it encodes, decodes and samples.
//! - [`train`] trains a model; [`distributed`] lets several processes train one together.
//! - [`prior`] fits a distribution to the latents of a trained model.
//! - [`image_quality`] measures images.
//!
//! This crate reads no files. All of it compiles for `wasm32-unknown-unknown`.
//!
//! ```
//! use vae_core::{config::Settings, data::Dataset, learn, train::Trainer};
//!
//! let mut settings = Settings::default(); // a ResNet-18 on the digits inside the program
//! for setting in ["model.width=2", "model.z_dim=8", "data.limit=128"] {
//!     settings.assignment(setting)?;
//! }
//! let config = settings.resolve()?;
//! config.check()?;
//! let (dataset, model) = (Dataset::built_in(&config)?, learn::build(&config));
//! let mut trainer = Trainer::from_learner(config, dataset, model, tensor::Device::Cpu);
//! let losses = pollster::block_on(trainer.epoch(1, &mut |_| true))?.expect("nobody stopped it");
//! println!("training: {losses}; validation: {}", pollster::block_on(trainer.validate())?.losses);
//! # Ok::<(), vae_core::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod config;
pub mod data;
pub mod distributed;
pub mod error;
mod hex;
pub mod image_quality;
pub mod learn;
pub mod luma;
pub mod model;
pub mod objective;
pub mod predict;
pub mod prior;
pub mod random;
pub mod recipe;
pub mod train;

pub use error::{Error, Result};
pub use hex::hex;
