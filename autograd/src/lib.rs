//! Reverse-mode automatic differentiation.
//!
#![doc = include_str!("../README.md")]
//!
//! # Source
//!
//! Read in this order. [`Var`] is a tensor with a history. `backward` follows the history from the newest operation to the oldest.
//! [`Param`] is a leaf that lasts from step to step. [`no_grad`] switches the history off, [`checkpoint`] computes a part of it twice
//! instead of keeping it, and [`autocast`] stores feature maps as f16. `graph` draws it. `ops/` holds the gradient of each operation,
//! in a file named as the operation's own in `tensor`. [`check`] compares any gradient, on any device, with finite differences of
//! an f64 reference.
#![forbid(unsafe_code)]

mod var;
pub use var::{Edges, Var};

mod backward;
mod pending;
pub use backward::Gradients;

mod param;
pub use param::{Buffer, Param};

mod scoped;

mod grad_mode;
pub use grad_mode::no_grad;

mod autocast;
pub use autocast::autocast;

mod checkpoint;
pub use checkpoint::{checkpoint, is_recomputing};

mod graph;

mod group;
pub use group::BatchGroup;

mod composed;
mod ops;

pub mod check;

pub use tensor::{Act, BatchStats, Conv, ConvTranspose, GroupedConv, Interpolation, Pool};
