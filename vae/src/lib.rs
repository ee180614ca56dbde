//! Variational autoencoders, from a line of configuration to a trained model, its figures and its scores.
//!
//! This crate re-exports the library, which is in crates of its own, and holds the program `vae`.
//!
//! | module | crate | what it holds |
//! |---|---|---|
//! | [`config`], [`recipe`], [`data`], [`model`], [`objective`], [`learn`], [`predict`], [`train`] | `vae-core` | models, losses, and the loop that trains them |
//! | [`data`]: [`data::load`], [`data::files`] | `vae-data` | readers of files, download |
//! | [`run`] | `vae-run` | the folder of a run, checkpoints, loading, export |
//! | [`figures`] | `vae-figures` | drawing |
//! | [`scores`] | `vae-scores` | scores of a trained model |
//! | [`session`], [`report`], [`explore`], [`live`], [`paper`], … | `vae` | what the program does |
//!
//! A program that needs only models and training should depend on `vae-core`, which is small and compiles for browsers.
//!
//! ```no_run
//! use vae::{config::Settings, data, learn, train::Trainer};
//!
//! let mut settings = Settings::default(); // a resnet18 on the digits inside the program
//! settings.assignment("model.z_dim=8")?;
//! let config = settings.resolve()?;
//! config.check()?;
//! let (dataset, model) = (data::load(&config)?, learn::build(&config));
//! let mut trainer = Trainer::from_learner(config, dataset, model, tensor::Device::Cpu);
//! let losses = pollster::block_on(trainer.epoch(1, &mut |_| true))?.expect("nobody stopped it");
//! println!("training: {losses}; validation: {}", pollster::block_on(trainer.validate())?.losses);
//! # Ok::<(), vae::Error>(())
//! ```

#![forbid(unsafe_code)]

pub mod cli;
pub mod console;
pub mod demo;
pub mod device;
pub mod explore;
pub mod gpu_check;
pub mod gpu_tune;
pub mod live;
pub mod paper;
pub mod report;
pub mod serve;
pub mod session;
pub mod tensorboard;

pub use vae_core::{
    Error, Result, config, distributed, image_quality, learn, luma, model, objective, predict, random, recipe, train,
};
pub use {vae_figures as figures, vae_run as run, vae_scores as scores};

/// Images: in memory (`vae-core`), and read from files (`vae-data`).
pub mod data {
    pub use vae_core::data::*;
    pub use vae_data as files;
    pub use vae_data::{download, files_exist, load};
}
