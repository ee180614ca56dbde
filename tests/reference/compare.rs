//! Comparison of two tensors on any device, which reports the element with the largest error.

use std::fmt;

use tensor::{Shape, Tensor};

use crate::Array;
use crate::place::fetch;

/// The element with the largest error.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Its index.
    pub index: Vec<usize>,
    /// The actual value.
    pub got: f64,
    /// The expected value.
    pub expected: f64,
    /// The tolerance for this element.
    pub allowed: f64,
    /// The number of elements outside the tolerance, and the number of all.
    pub off: [usize; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { index, got, expected, allowed, off: [off, count] } = self;
        let by = (got - expected).abs();
        write!(f, "at {index:?}: got {got:e}, expected {expected:e}, off by {by:.2e} where {allowed:.2e} is allowed")?;
        write!(f, " ({off} of {count} are off)")
    }
}

/// Compares with a tolerance relative to the largest absolute expected value.
///
/// # Errors
/// The element with the largest error. NaN and infinities are errors wherever they are.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn close(got: &Tensor, expected: &Array, tolerance: f64) -> Result<(), Difference> {
    let largest = expected.data.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    differ(got, expected, |_| tolerance * largest)
}

/// Compares with a tolerance relative to each expected element.
///
/// # Errors
/// The element with the largest error.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn close_each(got: &Tensor, expected: &Array, tolerance: f64) -> Result<(), Difference> {
    differ(got, expected, |expected| tolerance * expected.abs())
}

/// Compares with an absolute tolerance.
///
/// # Errors
/// The element with the largest error.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn close_by(got: &Tensor, expected: &Array, allowed: f64) -> Result<(), Difference> {
    differ(got, expected, |_| allowed)
}

/// Like [`close`], but panics with `what`.
#[track_caller]
pub fn assert_close(what: &str, got: &Tensor, expected: &Array, tolerance: f64) {
    if let Err(difference) = close(got, expected, tolerance) {
        panic!("{what} {}: {difference}", expected.shape);
    }
}

/// Panics unless both tensors have the same bits, including NaNs.
#[track_caller]
pub fn assert_same_bits(what: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.shape(), expected.shape(), "{what}: the shape");
    let (got, expected) = (fetch(got), fetch(expected));
    let place = got.data().iter().zip(expected.data()).position(|(a, b)| a.to_bits() != b.to_bits());
    if let Some(place) = place {
        let index = unravel(place, expected.shape());
        panic!("{what} at {index:?}: {:e} is not {:e}", got.data()[place], expected.data()[place]);
    }
}

#[track_caller]
fn differ(got: &Tensor, expected: &Array, allowed: impl Fn(f64) -> f64) -> Result<(), Difference> {
    assert_eq!(*got.shape(), expected.shape, "the shape of a result and of its reference");
    let got = fetch(got);
    let mut worst: Option<(f64, usize)> = None; // the error relative to the tolerance, and its position
    let mut off = 0;
    for (i, (&got, &expected)) in got.data().iter().zip(&expected.data).enumerate() {
        let by = (f64::from(got) - expected).abs();
        if by <= allowed(expected) {
            continue; // NaN does not pass
        }
        off += 1;
        let excess = if by.is_nan() { f64::INFINITY } else { by / allowed(expected) };
        if worst.is_none_or(|(most, _)| excess > most) {
            worst = Some((excess, i));
        }
    }
    let Some((_, i)) = worst else { return Ok(()) };
    let (got, expected_here) = (f64::from(got.data()[i]), expected.data[i]);
    let index = unravel(i, &expected.shape);
    Err(Difference {
        index,
        got,
        expected: expected_here,
        allowed: allowed(expected_here),
        off: [off, expected.data.len()],
    })
}

/// The index of the element at `place` of a row-major tensor.
fn unravel(mut place: usize, shape: &Shape) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        index[d] = place % shape[d];
        place /= shape[d];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_element_is_named() {
        let got = Tensor::new(&[1.0, 2.0, 3.0, 4.5, 5.0, 7.0], [2, 3]);
        let expected = Array::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let difference = close(&got, &expected, 0.01).unwrap_err();
        assert_eq!(difference.index, [1, 2]);
        let text = "at [1, 2]: got 7e0, expected 6e0, off by 1.00e0 where 6.00e-2 is allowed (2 of 6 are off)";
        assert_eq!(difference.to_string(), text);
        assert!(close(&got, &expected, 0.2).is_ok());
    }

    #[test]
    fn nan_and_infinity_are_never_close() {
        let expected = Array::new([2], vec![1.0, 2.0]);
        assert_eq!(close(&Tensor::new(&[1.0, f32::NAN], [2]), &expected, 1e9).unwrap_err().index, [1]);
        assert_eq!(close(&Tensor::new(&[f32::INFINITY, 2.0], [2]), &expected, 1e9).unwrap_err().index, [0]);
    }

    #[test]
    fn where_zeros_are_expected_nothing_else_is_close() {
        let zeros = Array::new([2], vec![0.0, 0.0]);
        assert!(close(&Tensor::zeros([2]), &zeros, 1e-5).is_ok());
        assert!(close(&Tensor::new(&[0.0, 1e-30], [2]), &zeros, 1e-5).is_err());
    }
}
