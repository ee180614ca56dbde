//! The operations, a file each. The file of the same name in `autograd` holds its gradient, the one in `tests/ops` its laws,
//! the one in `shaders` its kernels for other machines.

pub(crate) mod adam;
pub(crate) mod batch_norm;
pub(crate) mod binary;
pub(crate) mod conv2d;
pub(crate) mod conv_transpose2d;
pub(crate) mod gather;
pub(crate) mod interpolate;
pub(crate) mod layout;
pub(crate) mod matmul;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod reshape;
pub(crate) mod softmax;
pub(crate) mod unary;
