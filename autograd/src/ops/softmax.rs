//! logsumexp:   y = ln Σ eˣ,              dx = dy·e^(x − y)
//! log_softmax: y = x − ln Σ eˣ,          dx = dy − e^y·Σ dy
//! softmax:     y = eˣ / Σ eˣ,            dx = y·(dy − Σ dy·y)

use crate::var::Var;

/// Weights e^(x − y) below this one are 0 in the gradient of a logsumexp. All weights together are 1, so f32 sums do not change without
/// these. They would make subnormal numbers (below 10⁻³⁸) in all gradients of an importance weighted bound, and some processors multiply
/// these a hundred times more slowly.
const LEAST_WEIGHT: f32 = 1e-26;

impl Var {
    /// ln Σ eˣ along `dim`, which is removed from the shape.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn logsumexp(&self, dim: usize) -> Var {
        let (x, y) = (self.value().clone(), self.value().logsumexp(dim));
        let kept = y.reshape(x.shape().with(dim, 1));
        Var::record("logsumexp", y, |edge| {
            edge.to(self, move |dy| {
                let weights = x.sub(&kept).exp().add_scalar(-LEAST_WEIGHT).relu(); // the other weights stay as they are
                weights.mul(&dy.reshape(kept.shape()))
            });
        })
    }

    /// eˣ / Σ eˣ along `dim`: positive numbers whose sum is 1.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn softmax(&self, dim: usize) -> Var {
        let y = self.value().softmax(dim);
        let kept = y.clone();
        Var::record("softmax", y, |edge| {
            edge.to(self, move |dy| kept.softmax_gradient(dy, dim));
        })
    }

    /// x − ln Σ eˣ along `dim`: the logarithm of a softmax.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn log_softmax(&self, dim: usize) -> Var {
        let y = self.value().log_softmax(dim);
        let kept = y.clone();
        Var::record("log_softmax", y, |edge| {
            edge.to(self, move |dy| dy.sub(&kept.exp().mul(&dy.sum(&[dim], true))));
        })
    }
}
