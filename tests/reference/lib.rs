//! Reference implementations of every operation, in f64 and as simple as possible.
//!
//! A file has the same name as the operation's in `tensor/src/ops`. [`build`] computes an array from a function of the index,
//! so that a reference reads like its formula. [`law`] compares the fast operations with the references at every [`place`] that
//! computes them, and [`compare`] reports where two tensors differ.
#![forbid(unsafe_code)]

pub mod argmax;
pub mod batch_norm;
pub mod bce;
pub mod binary;
pub mod bmm;
pub mod compare;
pub mod conv2d;
pub mod conv_transpose2d;
pub mod counting;
pub mod cumsum;
pub mod gather;
pub mod gaussian;
pub mod group_norm;
pub mod grouped_conv2d;
pub mod interpolate;
pub mod law;
pub mod layout;
pub mod matmul;
pub mod optimizer;
pub mod place;
pub mod pool;
pub mod reduce;
pub mod score;
pub mod softmax;
pub mod unary;
pub mod wait;
pub mod where_cond;

pub use autograd::check::Array;

use tensor::Shape;

/// The element at `index`.
#[track_caller]
pub fn at<const RANK: usize>(x: &Array, index: [usize; RANK]) -> f64 {
    x.data[place(&x.shape, &index)]
}

/// The position of the element at `index` in a row-major array.
#[track_caller]
pub fn place(shape: &[usize], index: &[usize]) -> usize {
    assert_eq!(shape.len(), index.len(), "an index of another rank");
    let mut place = 0;
    for (&size, &i) in shape.iter().zip(index) {
        assert!(i < size, "index {index:?} is outside {shape:?}");
        place = place * size + i;
    }
    place
}

/// The array with `f(index)` at each index.
pub fn build<const RANK: usize>(shape: [usize; RANK], mut f: impl FnMut([usize; RANK]) -> f64) -> Array {
    build_ranked(&shape, |index| f(index.try_into().expect("an index has the rank of its shape")))
}

/// Like [`build`], for a rank that is known only at run time.
pub fn build_ranked(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Array {
    let shape = Shape::new(shape);
    let mut index = vec![0; shape.len()];
    let mut data = Vec::with_capacity(shape.count());
    for _ in 0..shape.count() {
        data.push(f(&index));
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                break;
            }
            index[d] = 0;
        }
    }
    Array::new(shape, data)
}

/// Applies `f` to each element.
pub fn map(x: &Array, f: impl Fn(f64) -> f64) -> Array {
    Array::new(x.shape, x.data.iter().map(|&x| f(x)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_goes_through_indices_in_row_major_order() {
        let x = build([2, 3], |[i, j]| (10 * i + j) as f64);
        assert_eq!(x.data, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
        assert_eq!(at(&x, [1, 2]), 12.0);
        assert_eq!(build([], |[]| 7.0).data, [7.0]);
        assert!(build([2, 0], |_| unreachable!()).data.is_empty());
    }
}
