//! The index of the first largest element along a dimension.

use crate::Array;
use crate::reduce::reduced;

/// The first s with the largest `x[…, s, …]` along `dim`, which is removed.
pub fn argmax(x: &Array, dim: usize) -> Array {
    reduced(x, &[dim], false, |x| {
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        x.iter().position(|&x| x == largest).expect("the largest is one of them") as f64
    })
}
