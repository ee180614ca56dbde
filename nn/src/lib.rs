//! Layers, losses, optimisers and state dicts, with PyTorch's names, layouts and defaults.
//!
#![doc = include_str!("../README.md")]
//!
//! # Source
//!
//! Read in this order. [`Module`] is anything with parameters; its `visit` names them. [`Layer`] maps one value to one value. Then come
//! the layers, one file for each kind, [`loss`], [`optim`], and [`state`], which writes and reads parameters by name.
#![forbid(unsafe_code)]

mod module;
pub use module::{ForwardContext, Layer, Module, Slot, Trace, Visitor, count, freeze, parameters, upload, visit};

mod activation;
mod conv;
mod dropout;
mod linear;
mod norm;
mod pool;
mod resample;
mod sequential;
pub use activation::Activation;
pub use conv::{Conv2d, ConvTranspose2d};
pub use dropout::Dropout;
pub use linear::Linear;
pub use norm::BatchNorm2d;
pub use pool::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use resample::Upsample;
pub use sequential::Sequential;

mod init;

mod hooks;
pub use hooks::backward_with_hook;

pub mod loss;
pub mod optim;
pub mod state;
