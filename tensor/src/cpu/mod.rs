//! The CPU's kernels. Each module uses only those above it, except that all use [`parallel`]:
//!
//! - [`pool`]: buffers that are reused between steps;
//! - [`vector`]: a register of any instruction set;
//! - [`simd`]: the vector instructions that the processor has;
//! - [`microkernel`]: a tile of a matrix product, in registers;
//! - [`transpose`]: transposing blocks while they are packed;
//! - [`gemm`]: matrix products of operands that pack themselves into panels;
//! - [`window`]: how a convolution slides over an image;
//! - [`conv`]: convolutions and their gradients, by the algorithm that is fastest for their shape: as matrix products whose right operand
//!   [`implicit_im2col`] reads from an image, or one of the following;
//! - [`conv_indirect`]: products with pixels that stay in their places in images of [`bordered`]; [`panels`] has the packed operand;
//! - [`winograd`]: 3 × 3 convolutions of stride 1, and up to 4 × 4 of stride 2, with fewer multiplications, by [`winograd_tile`]'s
//!   transforms of images ([`winograd_points`]) and weights ([`winograd_weights`]), for each of the phases of [`winograd_phases`];
//! - [`conv_2x2`], [`conv_few`]: 3 × 3 convolutions of 2 × 2 images, and convolutions to at most three channels;
//! - [`conv_grouped`]: convolutions in groups of channels, with gaps between taps;
//! - [`channels`]: statistics and normalisation of each channel;
//! - [`group_norm`]: normalisation of groups of channels of each image;
//! - [`resize`]: resizing of small planes, and doubling;
//! - [`sums`]: sums and maxima of rows and of columns;
//! - [`elementary`]: exponentials and logarithms that the compiler vectorises;
//! - [`special`]: sines, powers and the normal distribution, likewise;
//! - [`box_muller`]: normal numbers from random bits;
//! - [`peak`]: the rate of multiply-adds in registers;
//! - [`parallel`]: loops over disjoint parts of a tensor; with the feature `task-log`, `task_log.rs` records them.
//!
//! Work is cut by shape alone and partial sums are added in a fixed order. The same instruction set therefore gives the same bits on
//! any number of threads.

pub(crate) mod bordered;
pub(crate) mod box_muller;
pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod conv_2x2;
pub(crate) mod conv_few;
pub(crate) mod conv_grouped;
pub(crate) mod conv_indirect;
pub(crate) mod conv_planes;
pub(crate) mod elementary;
pub(crate) mod gemm;
pub(crate) mod group_norm;
pub(crate) mod implicit_im2col;
pub(crate) mod microkernel;
pub(crate) mod panels;
pub(crate) mod parallel;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))] // a browser's module has no clock
mod peak;
pub(crate) mod pool;
pub(crate) mod resize;
pub(crate) mod simd;
pub(crate) mod special;
pub(crate) mod sums;
#[cfg(feature = "task-log")]
pub mod task_log;
pub(crate) mod transpose;
pub(crate) mod vector;
pub(crate) mod window;
pub(crate) mod winograd;
pub(crate) mod winograd_phases;
pub(crate) mod winograd_points;
pub(crate) mod winograd_tile;
pub(crate) mod winograd_weights;
