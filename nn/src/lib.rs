//! Layers, losses, optimisers and state dicts, with PyTorch's names, layouts and defaults.
//!
//! Read in this order. [`Module`] is anything with parameters; its `visit` names them. [`Layer`] maps one value to one value. Then come
//! the layers, one file for each kind, [`loss`], [`optim`], and [`state`], which writes and reads parameters by name.
//!
//! ```
//! use autograd::Var;
//! use nn::{Layer, Linear, Pass};
//! use tensor::{Generator, Tensor};
//!
//! let layer = Linear::new(&mut Generator::new(1), 3, 2);
//! let y = layer.forward(&Var::constant(Tensor::ones([5, 3])), &Pass::eval());
//! assert_eq!(y.shape()[..], [5, 2]);
//! let gradients = y.square().mean_all().backward();
//! let (name, weight) = &nn::parameters(&layer)[0];
//! assert_eq!(name, "weight");
//! assert_eq!(gradients.get(weight).unwrap().shape()[..], [2, 3]);
//! ```
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

pub mod loss;
pub mod optim;
pub mod state;
