//! A part of a tensor by indices and ranges, one for each dimension from the first on:  `x.at((3, .., 2..5))`.
//! An index removes its dimension, a range keeps it. Dimensions that are not named are kept whole.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use crate::shape::Shape;
use crate::tensor::Tensor;

/// What [`Tensor::at`] takes along one dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Index {
    /// One element. The dimension is removed.
    One(usize),
    /// The elements from `start` up to but without `end`, where `None` is the end of the dimension.
    Part {
        /// The first index.
        start: usize,
        /// The index after the last one.
        end: Option<usize>,
    },
}

/// What [`Tensor::at`] takes: a number, a range, a tuple of both, or an array of one kind.
pub trait Indices {
    /// One for each dimension, from the first on.
    fn list(self) -> Vec<Index>;
}

macro_rules! index_from {
    ($($type:ty: |$i:pat_param| $index:expr;)*) => {
        $(
            impl From<$type> for Index {
                fn from($i: $type) -> Index {
                    $index
                }
            }
            impl Indices for $type {
                fn list(self) -> Vec<Index> {
                    vec![self.into()]
                }
            }
        )*
    };
}
index_from! {
    usize: |i| Index::One(i);
    Range<usize>: |Range { start, end }| Index::Part { start, end: Some(end) };
    RangeInclusive<usize>: |range| Index::Part { start: *range.start(), end: Some(range.end().saturating_add(1)) };
    RangeFrom<usize>: |RangeFrom { start }| Index::Part { start, end: None };
    RangeTo<usize>: |RangeTo { end }| Index::Part { start: 0, end: Some(end) };
    RangeToInclusive<usize>: |RangeToInclusive { end }| Index::Part { start: 0, end: Some(end.saturating_add(1)) };
    RangeFull: |_| Index::Part { start: 0, end: None };
}

impl<I: Into<Index>, const N: usize> Indices for [I; N] {
    fn list(self) -> Vec<Index> {
        self.map(Into::into).to_vec()
    }
}

macro_rules! indices_of_tuples {
    ($($($type:ident),*;)*) => {
        $(
            impl<$($type: Into<Index>),*> Indices for ($($type,)*) {
                #[allow(non_snake_case)]
                fn list(self) -> Vec<Index> {
                    let ($($type,)*) = self;
                    vec![$($type.into()),*]
                }
            }
        )*
    };
}
indices_of_tuples! {
    A;
    A, B;
    A, B, C;
    A, B, C, D;
    A, B, C, D, E;
    A, B, C, D, E, F;
}

impl Shape {
    /// The slices that indices stand for, each as `[dim, start, length]`, and the shape without the dimensions of single elements.
    #[doc(hidden)]
    #[track_caller]
    pub fn slices(&self, indices: impl Indices) -> (Vec<[usize; 3]>, Shape) {
        let indices = indices.list();
        assert!(indices.len() <= self.len(), "at: {} indices for {self}", indices.len());
        let (mut slices, mut kept) = (Vec::new(), Vec::new());
        for (dim, index) in indices.iter().enumerate() {
            let size = self[dim];
            let [start, end] = match *index {
                Index::One(i) => [i, i.saturating_add(1)],
                Index::Part { start, end } => [start, end.unwrap_or(size)],
            };
            assert!(start <= end && end <= size, "at: {start}..{end} of dimension {dim} of {self}");
            if [start, end] != [0, size] {
                slices.push([dim, start, end - start]);
            }
            if let Index::Part { .. } = index {
                kept.push(end - start);
            }
        }
        kept.extend_from_slice(&self[indices.len()..]);
        (slices, Shape::new(&kept))
    }
}

/// Defines `at` for a type that has `slice` and `reshape`.
#[macro_export]
#[doc(hidden)]
macro_rules! at {
    ($type:ident) => {
        impl $type {
            /// A part, by one index or range for each dimension from the first on: `x.at(3)`, `x.at((.., 2..5))`,
            /// `x.at([1, 0])`. An index removes its dimension; dimensions that are not named are kept whole. Of `[4, 3, 5, 6]`,
            /// `at((1, .., 2..5))` is `[3, 3, 6]`.
            ///
            /// # Panics
            /// With more indices than dimensions, or if one reaches past the end.
            #[track_caller]
            pub fn at(&self, indices: impl $crate::Indices) -> $type {
                let (slices, shape) = self.shape().slices(indices);
                let slice = |x: $type, [dim, start, length]: [usize; 3]| x.slice(dim, start, length);
                slices.into_iter().fold(self.clone(), slice).reshape(shape)
            }
        }
    };
}
at!(Tensor);
