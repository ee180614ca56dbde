//! c[i, j] = Σ_k a[i, k]·b[k, j], with either operand transposed in memory.

use crate::{Array, at, build};

/// a·b: [m, k]·[k, n].
pub fn nn(a: &Array, b: &Array) -> Array {
    let ([m, inner], [_, n]) = (a.shape.matrix("a"), b.shape.matrix("b"));
    build([m, n], |[i, j]| (0..inner).map(|k| at(a, [i, k]) * at(b, [k, j])).sum())
}

/// a·bᵀ: [m, k]·[n, k]ᵀ.
pub fn nt(a: &Array, b: &Array) -> Array {
    let ([m, inner], [n, _]) = (a.shape.matrix("a"), b.shape.matrix("b"));
    build([m, n], |[i, j]| (0..inner).map(|k| at(a, [i, k]) * at(b, [j, k])).sum())
}

/// aᵀ·b: [k, m]ᵀ·[k, n].
pub fn tn(a: &Array, b: &Array) -> Array {
    let ([inner, m], [_, n]) = (a.shape.matrix("a"), b.shape.matrix("b"));
    build([m, n], |[i, j]| (0..inner).map(|k| at(a, [k, i]) * at(b, [k, j])).sum())
}
