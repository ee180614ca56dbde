//! The CPU's kernels, in the order in which they stand on each other:
//!
//! - [`pool`]: buffers kept between steps;
//! - [`simd`]: which vector instructions there are;
//! - [`microkernel`]: a tile of a matrix product in registers;
//! - [`transpose`]: turning blocks while they are packed;
//! - [`gemm`]: any matrix product, from operands that pack themselves into panels;
//! - [`window`]: how a convolution slides over an image;
//! - [`conv`]: convolutions and their gradients as such products, of images that [`implicit_im2col`] shows them;
//! - [`winograd`]: 3 × 3 convolutions with less to multiply, from the transforms of [`winograd_points`] and [`winograd_tile`];
//! - [`conv_2x2`], [`conv_few`]: 3 × 3 convolutions of the smallest images, and to the fewest channels;
//! - [`channels`]: statistics and normalisation of each channel;
//! - [`resize`]: small planes and doubled ones;
//! - [`parallel`]: loops over disjoint parts of a tensor.
//!
//! Work is cut by shape alone and partial sums are combined in a fixed order: the same instructions give the same bits on
//! any number of threads.

pub(crate) mod channels;
pub(crate) mod conv;
pub(crate) mod conv_2x2;
pub(crate) mod conv_few;
pub(crate) mod gemm;
pub(crate) mod implicit_im2col;
pub(crate) mod microkernel;
pub(crate) mod parallel;
pub(crate) mod pool;
pub(crate) mod resize;
pub(crate) mod simd;
pub(crate) mod transpose;
pub(crate) mod window;
pub(crate) mod winograd;
pub(crate) mod winograd_points;
pub(crate) mod winograd_tile;
