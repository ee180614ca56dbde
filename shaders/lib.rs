//! The WGSL source of every compute shader, as constants.
//!
#![doc = include_str!("README.md")]
//!
//! # Constants
//!
//! A constant is named after its file. The library files in `lib/` define helper functions and come first in a kernel's source. The
//! file of an operation follows and holds the entry points.
#![forbid(unsafe_code)]

/// Library: which item an invocation works on.
pub const GRID: &str = include_str!("lib/grid.wgsl");
/// Library: exponentials, logarithms and hyperbolic tangents, accurate on every driver.
pub const MATH: &str = include_str!("lib/math.wgsl");
/// Library: sines, powers and the normal distribution. It needs [`MATH`].
pub const SPECIAL: &str = include_str!("lib/special.wgsl");
/// Library: sums over a workgroup.
pub const SUM: &str = include_str!("lib/sum.wgsl");
/// Library: a matrix product in tiles.
pub const TILE: &str = include_str!("lib/tile.wgsl");

/// The index of the largest number along a dimension.
pub const ARGMAX: &str = include_str!("argmax.wgsl");
/// Batch normalisation and its gradients.
pub const BATCH_NORM: &str = include_str!("batch_norm.wgsl");
/// Binary cross-entropy of logits, summed over rows, and its gradient.
pub const BCE: &str = include_str!("bce.wgsl");
/// Sums, differences, products, quotients and comparisons, with broadcasting.
pub const BINARY: &str = include_str!("binary.wgsl");
/// Batched matrix products with broadcasting.
pub const BMM: &str = include_str!("bmm.wgsl");
/// Convolution and the gradient of its weight.
pub const CONV2D: &str = include_str!("conv2d.wgsl");
/// Transposed convolution, which is also the gradient of a convolution's input.
pub const CONV_TRANSPOSE2D: &str = include_str!("conv_transpose2d.wgsl");
/// Sums from the start or the end of a dimension.
pub const CUMSUM: &str = include_str!("cumsum.wgsl");
/// Elements and rows chosen by index.
pub const GATHER: &str = include_str!("gather.wgsl");
/// Draws from Gaussians and their divergence from the standard one.
pub const GAUSSIAN: &str = include_str!("gaussian.wgsl");
/// The norm of all gradients, and whether they are finite.
pub const GRADIENT_MONITOR: &str = include_str!("gradient_monitor.wgsl");
/// Normalisation of groups of channels of each image, and its gradients.
pub const GROUP_NORM: &str = include_str!("group_norm.wgsl");
/// Convolution in groups of channels, with gaps between taps, and its gradients.
pub const GROUPED_CONV2D: &str = include_str!("grouped_conv2d.wgsl");
/// Resizing of images and its gradient.
pub const INTERPOLATE: &str = include_str!("interpolate.wgsl");
/// Permutation, concatenation, slices and filling.
pub const LAYOUT: &str = include_str!("layout.wgsl");
/// Matrix products.
pub const MATMUL: &str = include_str!("matmul.wgsl");
/// A step of an optimiser.
pub const OPTIMIZER: &str = include_str!("optimizer.wgsl");
/// Max and average pooling and their gradients.
pub const POOL: &str = include_str!("pool.wgsl");
/// Dropout's mask, drawn from ChaCha8.
pub const RANDOM: &str = include_str!("random.wgsl");
/// Sums and maxima along dimensions.
pub const REDUCE: &str = include_str!("reduce.wgsl");
/// The logarithm of a sum of exponentials.
pub const SOFTMAX: &str = include_str!("softmax.wgsl");
/// Functions of one number and their derivatives.
pub const UNARY: &str = include_str!("unary.wgsl");
/// A choice between two tensors.
pub const WHERE_COND: &str = include_str!("where_cond.wgsl");
/// Convolutions of 3 × 3 with stride 1 and their gradients by Winograd's algorithm.
pub const WINOGRAD: &str = include_str!("winograd.wgsl");
