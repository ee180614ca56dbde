//! Reductions: one element for all that differ only in the reduced dimensions.

use crate::{Array, build_ranked};

/// The sum over `dims`.
pub fn sum(x: &Array, dims: &[usize], keepdim: bool) -> Array {
    reduced(x, dims, keepdim, |numbers| numbers.iter().sum())
}

/// The mean over `dims`.
pub fn mean(x: &Array, dims: &[usize], keepdim: bool) -> Array {
    reduced(x, dims, keepdim, |numbers| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

/// The maximum over `dims`.
pub fn max(x: &Array, dims: &[usize], keepdim: bool) -> Array {
    reduced(x, dims, keepdim, |numbers| numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The minimum over `dims`.
pub fn min(x: &Array, dims: &[usize], keepdim: bool) -> Array {
    reduced(x, dims, keepdim, |numbers| numbers.iter().copied().fold(f64::INFINITY, f64::min))
}

/// The variance over `dims`: the sum of squared deviations divided by their number minus `correction`.
pub fn var(x: &Array, dims: &[usize], correction: usize, keepdim: bool) -> Array {
    reduced(x, dims, keepdim, |numbers| {
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (numbers.len() - correction) as f64
    })
}

/// `f` of the elements over `dims`, for each position in the other dimensions.
pub fn reduced(x: &Array, dims: &[usize], keepdim: bool, f: impl Fn(&[f64]) -> f64) -> Array {
    let rank = x.shape.len();
    let sizes: Vec<usize> = (0..rank).map(|d| if dims.contains(&d) { 1 } else { x.shape[d] }).collect();
    let mut groups = build_ranked(&sizes, |_| 0.0);
    let mut numbers = vec![Vec::new(); groups.data.len()];
    let mut from = x.data.iter();
    build_ranked(&x.shape, |index| {
        let kept: Vec<usize> = (0..rank).map(|d| if dims.contains(&d) { 0 } else { index[d] }).collect();
        numbers[crate::place(&sizes, &kept)].push(*from.next().expect("as many as the shape says"));
        0.0
    });
    groups.data = numbers.iter().map(|n| f(n)).collect();
    if !keepdim {
        let kept: Vec<usize> = (0..rank).filter(|d| !dims.contains(d)).map(|d| x.shape[d]).collect();
        groups.shape = kept[..].into();
    }
    groups
}
