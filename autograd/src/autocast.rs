//! Mixed precision: convolutions take their images as f16, and what follows them stays f16 as far as [`Tensor::to_dtype`] says.

use std::cell::Cell;

use tensor::{Dtype, Tensor};

use crate::scoped;

thread_local! {
    static DTYPE: Cell<Dtype> = const { Cell::new(Dtype::F32) };
}

/// Runs `body` on this thread with convolutions that take their images as `dtype` (PyTorch's `autocast`). Parameters and their
/// gradients stay f32. The backward pass needs no such call: its gradients have the types of the values that they belong to.
///
/// Small gradients vanish in f16, so the loss should be scaled before the backward pass: see
/// [`GradientMonitor::with_loss_scale`](tensor::GradientMonitor::with_loss_scale) and `nn::optim::scaled_loss`. On a device without f16 this has no effect.
///
/// ```
/// # use {autograd::{Conv, Var, autocast}, tensor::{Dtype, Tensor}};
/// let (image, weight) = (Var::constant(Tensor::ones([1, 1, 4, 4])), Var::constant(Tensor::ones([1, 1, 3, 3])));
/// let conv = Conv { stride: 1, padding: 0 };
/// let y = autocast(Dtype::F16, || image.conv2d(&weight, None, conv).relu());
/// assert_eq!(y.value().cpu().data(), [9.0; 4]); // f16 on a GPU that has it, else f32
/// ```
pub fn autocast<R>(dtype: Dtype, body: impl FnOnce() -> R) -> R {
    scoped::with(&DTYPE, dtype, body)
}

/// The type of the images of convolutions on this thread.
pub(crate) fn dtype() -> Dtype {
    DTYPE.get()
}

/// The image of a convolution.
pub(crate) fn image(x: &Tensor) -> Tensor {
    if dtype() == Dtype::F16 { x.to_dtype(Dtype::F16) } else { x.clone() }
}
