//! Binary cross-entropy of logits and targets, summed over rows.

use crate::{Array, at, build};

/// Σ_d ln(1 + eˡ) − x·l of each row of `logits` `[N, D]`, for `targets` `[B, D]` of which each row belongs to N/B rows.
pub fn bce_with_logits(logits: &Array, targets: &Array) -> Array {
    let (rows, size) = (logits.shape[0], logits.shape[1]);
    let repeats = rows / targets.shape[0];
    build([rows], |[n]| {
        let term = |d| {
            let (l, x) = (at(logits, [n, d]), at(targets, [n / repeats, d]));
            l.max(0.0) + (-l.abs()).exp().ln_1p() - x * l
        };
        (0..size).map(term).sum()
    })
}
