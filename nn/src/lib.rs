//! Layers, losses, optimisers and state dicts, with PyTorch's names, layouts and defaults.
//!
#![doc = include_str!("../README.md")]
//!
//! # Source
//!
//! Read in this order. [`Module`] is anything with parameters; its `visit`, which [`module!`] writes, names them. [`Layer`] maps one value to one value. Then come
//! the layers, one file for each kind, [`summary()`], [`loss`], [`optim`], and [`state`], which writes and reads parameters by name.
#![forbid(unsafe_code)]

mod module;
pub use module::{
    ForwardContext, Layer, Module, Slot, Trace, Visitor, count, freeze, parameters, upload, visit, with_constants,
};

mod activation;
mod attention;
mod checkpointed;
mod conv;
mod dropout;
mod embedding;
mod group_norm;
mod layer_norm;
mod linear;
mod norm;
mod pool;
mod resample;
mod sequential;
mod spectral_norm;
mod transformer;
pub use activation::Activation;
pub use attention::MultiheadAttention;
pub use checkpointed::Checkpointed;
pub use conv::{Conv2d, ConvTranspose2d};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use group_norm::{GroupNorm, InstanceNorm2d};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use norm::BatchNorm2d;
pub use pool::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use resample::Upsample;
pub use sequential::Sequential;
pub use spectral_norm::{SpectralNorm, Weighted};
pub use transformer::TransformerEncoderLayer;

mod init;

mod hooks;
mod summary;
pub use hooks::backward_with_hook;
pub use summary::{LayerSummary, Summary, summary};

pub mod loss;
pub mod optim;
pub mod state;

#[doc = include_str!("../from-pytorch.md")]
pub mod from_pytorch {}
