//! f32 tensors and the operations on them.
//!
#![doc = include_str!("../README.md")]
//!
//! # Source
//!
//! Read in this order. [`Shape`] and [`Tensor`] define what a tensor is, and [`Device`] where its elements are stored. `ops/` holds
//! one file for each operation, which begins with its formula; `composed/` has those that are made of others. `cpu/` holds the fast CPU kernels, from the register tile upwards.

mod shape;
pub use shape::{MAX_RANK, Shape};

mod tensor;
pub use tensor::Tensor;

mod device;
mod kernel;
mod launch;
pub use device::{Accelerator, Device, Limits, Pending};
pub use kernel::{BufferId, Dtype, Kernel, Launch, Span};

mod act;
pub use act::Act;

mod error;
pub use error::{Error, Result};

mod trace;
pub use trace::trace_level;

mod random;
pub use random::Generator;

mod constructors;
mod display;
mod operators;

mod composed;
pub use composed::at::{Index, Indices};

mod ops;
pub use ops::KERNELS;
pub use ops::batch_norm::{BatchNorm, BatchNormGradients, BatchStats, RunningStats};
pub use ops::conv_transpose2d::ConvTranspose;
pub use ops::conv2d::Conv;
pub use ops::gradient_monitor::{GradientMonitor, GradientStatus, LossScale};
pub use ops::group_norm::GroupNormGradients;
pub use ops::grouped_conv2d::GroupedConv;
pub use ops::interpolate::Interpolation;
pub use ops::optimizer::{OptimizerPart, OptimizerStep, Rule};
pub use ops::pool::Pool;
pub use ops::unary::{Saved, Unary};

mod cpu;
pub use cpu::conv::ConvAlgorithm;
pub use cpu::parallel::{OwnThreads, start_own_threads, start_threads};
pub use cpu::simd::Isa;
#[cfg(feature = "task-log")]
pub use cpu::task_log;
