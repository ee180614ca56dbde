//! The gradient of each operation, in a file of the same name as in `tensor/src/ops`.

mod batch_norm;
mod binary;
mod conv2d;
mod conv_transpose2d;
mod gather;
mod gaussian;
mod interpolate;
mod layout;
mod matmul;
mod pool;
mod reduce;
mod reshape;
mod softmax;
mod unary;
