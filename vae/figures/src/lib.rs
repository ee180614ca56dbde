//! Figures of trained models. [`gallery`] has one module for each figure and [`figure`] draws plots and grids of images.
//! [`preview`] and [`map`] show a model during training, [`image_folder`] writes images to a folder, and [`pegasus`] blends the latents of
//! images.

#![forbid(unsafe_code)]

pub mod figure;
pub mod gallery;
pub mod image_folder;
pub mod map;
pub mod pegasus;
pub mod preview;
