//! Selection of elements and rows by index.

use crate::{Array, at, build, build_ranked, place};

/// `y[i] = x[i, index[i]]`
pub fn gather(x: &Array, index: &[usize]) -> Array {
    build([index.len()], |[i]| at(x, [i, index[i]]))
}

/// `y[i, …] = x[index[i], …]`
pub fn index_select(x: &Array, index: &[usize]) -> Array {
    build_ranked(&x.shape.with(0, index.len()), |place_in_y| {
        let mut from = place_in_y.to_vec();
        from[0] = index[from[0]];
        x.data[place(&x.shape, &from)]
    })
}
