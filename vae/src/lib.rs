//! Variational autoencoders, from a line of configuration to a trained model and its pictures.
//!
//! Reading order: [`config`] says what a run is, [`recipe`] names some; [`data`] gives images, [`model`] turns them into latents
//! and back, [`objective`] scores that, [`learn`] is both together, and [`transfer`] begins with another model's encoder; [`train`]
//! is one step, one epoch; `figure` draws what came out, `checkpoint` is what a run goes on from, `run` the folder that keeps
//! it, `trained` opens it again, `gallery` draws, `score` measures and `report` tells it, `export` takes weights to PyTorch,
//! `album` pictures to a folder, and `info` tells what is in a file; `session` trains as `cli`, the command line, asks, `paper` what a paper
//! trained, and `claims` judges what the paper says of it; `serve` shows pages in a browser: a trained run's latents
//! (`explore`), and a run under way (`live`).
//!
//! [`config`], [`data`] without its files, [`model`], [`objective`], [`learn`], [`train`], [`random`] and [`recipe`] need neither
//! files nor clocks nor threads.
//!
//! ```no_run
//! use vae::{config::Settings, data::Dataset, learn, train::Trainer};
//!
//! let mut settings = Settings::default(); // a resnet18 on the digits inside the program
//! settings.assignment("model.z_dim=8")?;
//! let config = settings.resolve()?;
//! config.check()?;
//! let (dataset, model) = (Dataset::load(&config)?, learn::build(&config));
//! let mut trainer = Trainer::of(config, dataset, model, tensor::Device::Cpu);
//! let losses = pollster::block_on(trainer.epoch(1, &mut |_| true))?.expect("nobody stopped it");
//! println!("training: {losses}; validation: {}", pollster::block_on(trainer.validate())?.losses);
//! # Ok::<(), vae::Error>(())
//! ```

#![forbid(unsafe_code)]

#[cfg(not(target_arch = "wasm32"))]
pub mod album;
#[cfg(not(target_arch = "wasm32"))]
pub mod checkpoint;
#[cfg(not(target_arch = "wasm32"))]
pub mod claims;
#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
pub mod config;
#[cfg(not(target_arch = "wasm32"))]
pub mod console;
pub mod data;
#[cfg(not(target_arch = "wasm32"))]
pub mod device;
mod error;
#[cfg(not(target_arch = "wasm32"))]
pub mod explore;
#[cfg(not(target_arch = "wasm32"))]
pub mod export;
#[cfg(not(target_arch = "wasm32"))]
pub mod figure;
#[cfg(not(target_arch = "wasm32"))]
pub mod gallery;
#[cfg(not(target_arch = "wasm32"))]
pub mod glance;
#[cfg(not(target_arch = "wasm32"))]
pub mod info;
pub mod learn;
#[cfg(not(target_arch = "wasm32"))]
pub mod live;
pub mod model;
#[cfg(not(target_arch = "wasm32"))]
pub mod nearest;
pub mod objective;
#[cfg(not(target_arch = "wasm32"))]
pub mod paper;
#[cfg(not(target_arch = "wasm32"))]
pub mod pegasus;
pub mod random;
pub mod recipe;
#[cfg(not(target_arch = "wasm32"))]
pub mod report;
#[cfg(not(target_arch = "wasm32"))]
pub mod run;
#[cfg(not(target_arch = "wasm32"))]
pub mod score;
#[cfg(not(target_arch = "wasm32"))]
pub mod serve;
#[cfg(not(target_arch = "wasm32"))]
pub mod session;
#[cfg(not(target_arch = "wasm32"))]
pub mod tensorboard;
pub mod train;
#[cfg(not(target_arch = "wasm32"))]
pub mod trained;
#[cfg(not(target_arch = "wasm32"))]
pub mod transfer;

pub use error::{Error, Result};

/// A browser has no command line: there, the programs do nothing.
#[cfg(target_arch = "wasm32")]
pub mod cli {
    use std::ffi::OsString;
    use std::process::ExitCode;

    /// Does nothing.
    pub fn main(_words: impl IntoIterator<Item = OsString>) -> ExitCode {
        ExitCode::SUCCESS
    }

    /// Does nothing.
    pub fn train_main(_words: impl IntoIterator<Item = OsString>) -> ExitCode {
        ExitCode::SUCCESS
    }
}
