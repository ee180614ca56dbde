//! Activation checkpointing: y = f(x) keeps x alone, and the backward pass computes f(x) again.
//! A chain of n blocks then keeps the values between blocks, and within one block at a time, for the price of a second forward pass.

use std::cell::Cell;

use crate::autocast::{self, autocast};
use crate::grad_mode::{self, no_grad};
use crate::scoped;
use crate::var::Var;

thread_local! {
    static RECOMPUTING: Cell<bool> = const { Cell::new(false) };
}

/// y = f(x), without keeping what `f` computes on the way (Chen et al., 1604.06174; PyTorch's `checkpoint`). The backward pass calls
/// `f` again. The gradients of x and of all parameters inside are the same, bit for bit, if `f` is a function of x and of
/// parameters that do not change before the backward pass.
///
/// `f` may have effects that should happen once, such as the running statistics of batch norm: see [`is_recomputing`].
///
/// ```
/// # use {autograd::{Param, Var, checkpoint}, tensor::Tensor};
/// let w = Param::new(Tensor::scalar(3.0));
/// let x = Var::leaf(Tensor::scalar(2.0));
/// let inside = w.clone();
/// let y = checkpoint(move |x| (x * inside.var()).exp(), &x);
/// let gradients = y.log().backward(); // ln e^(w·x)
/// assert!((gradients.of(&x).unwrap().data()[0] - 3.0).abs() < 1e-5);
/// assert!((gradients.get(&w).unwrap().data()[0] - 2.0).abs() < 1e-5);
/// ```
pub fn checkpoint(f: impl Fn(&Var) -> Var + 'static, x: &Var) -> Var {
    let y = no_grad(|| f(&x.detach())).value().clone();
    let (x, dtype) = (x.clone(), autocast::dtype());
    Var::record("checkpoint", y, |edges| {
        // Also if the backward pass runs inside `no_grad`, and with the types of the first time.
        let again = move || autocast(dtype, || grad_mode::with(true, || f(&x)));
        edges.recompute(move || scoped::with(&RECOMPUTING, true, &again));
    })
}

/// Whether a backward pass is computing the function of a [`checkpoint`] again. A layer that changes its own state when it is used
/// does not do so then.
pub fn is_recomputing() -> bool {
    RECOMPUTING.get()
}
