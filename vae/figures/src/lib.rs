//! Figures of trained models. [`gallery`] has one file for each figure, which says at its top what is drawn; [`figure`] is what they are
//! drawn with. [`preview`] shows a model during training, [`image_folder`] writes images to a folder, and [`pegasus`] blends latents.

#![forbid(unsafe_code)]

pub mod figure;
pub mod gallery;
pub mod image_folder;
pub mod pegasus;
pub mod preview;
