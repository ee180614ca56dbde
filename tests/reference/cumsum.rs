//! y[…, s, …] = Σ_{t ≤ s} x[…, t, …].

use crate::{Array, build_ranked, place};

/// The sum of every element and all before it along `dim`.
pub fn cumsum(x: &Array, dim: usize) -> Array {
    build_ranked(&x.shape, |index| {
        let mut from = index.to_vec();
        let term = |t| {
            from[dim] = t;
            x.data[place(&x.shape, &from)]
        };
        (0..=index[dim]).map(term).sum()
    })
}
