//! The laws of every operation, in a file named as the operation's own in `tensor/src/ops`: its values are the f64
//! reference's, its gradient is the reference's slope along a random cotangent, at odd sizes, with random numbers, on the CPU
//! with every set of vector instructions of this machine, and on a GPU.
#![forbid(unsafe_code)]

mod adam;
mod argmax;
mod batch_norm;
mod binary;
mod conv2d;
mod conv_transpose2d;
mod gather;
mod gradient_monitor;
mod interpolate;
mod layout;
mod matmul;
mod pool;
mod random;
mod reduce;
mod reshape;
mod softmax;
mod unary;
