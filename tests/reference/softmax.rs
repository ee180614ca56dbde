//! ln Σ eˣ and x − ln Σ eˣ along a dimension.

use crate::reduce::reduced;
use crate::{Array, binary};

/// ln Σ eˣ along `dim`, which is removed. The largest element is subtracted first, because e¹⁰⁰⁰⁰ overflows even f64.
pub fn logsumexp(x: &Array, dim: usize) -> Array {
    reduced(x, &[dim], false, |x| {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
    })
}

/// eˣ / Σ eˣ along `dim`.
pub fn softmax(x: &Array, dim: usize) -> Array {
    crate::map(&log_softmax(x, dim), f64::exp)
}

/// x − ln Σ eˣ along `dim`.
pub fn log_softmax(x: &Array, dim: usize) -> Array {
    let mut total = logsumexp(x, dim);
    total.shape = x.shape.with(dim, 1);
    binary::broadcast(x, &total, |x, total| x - total)
}
