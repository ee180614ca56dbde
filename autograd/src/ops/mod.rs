//! The gradient of each operation, in a file of the same name as in `tensor/src/ops`.

mod batch_norm;
mod bce;
mod binary;
mod bmm;
mod conv2d;
mod conv_transpose2d;
mod cumsum;
mod gather;
mod gaussian;
mod group_norm;
mod grouped_conv2d;
mod interpolate;
mod layout;
mod matmul;
mod pool;
mod reduce;
mod reshape;
mod softmax;
mod unary;
mod where_cond;
