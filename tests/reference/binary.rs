//! c = a ∘ b with broadcasting: shapes are aligned at the last dimension, and sizes of 1 are repeated.

use crate::{Array, build_ranked, place};

/// Applies `f` to each pair of broadcast elements.
///
/// # Panics
/// If the shapes do not broadcast.
#[track_caller]
pub fn broadcast(a: &Array, b: &Array, f: impl Fn(f64, f64) -> f64) -> Array {
    let rank = a.shape.len().max(b.shape.len());
    let (a_sizes, b_sizes) = (aligned(&a.shape, rank), aligned(&b.shape, rank));
    let sizes: Vec<usize> = (0..rank).map(|d| if a_sizes[d] == 1 { b_sizes[d] } else { a_sizes[d] }).collect();
    build_ranked(&sizes, |index| {
        let of = |sizes: &[usize]| {
            let own: Vec<usize> = index.iter().zip(sizes).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect();
            place(sizes, &own)
        };
        f(a.data[of(&a_sizes)], b.data[of(&b_sizes)])
    })
}

/// A shape with leading ones up to this rank.
fn aligned(shape: &[usize], rank: usize) -> Vec<usize> {
    let mut sizes = vec![1; rank - shape.len()];
    sizes.extend(shape);
    sizes
}
