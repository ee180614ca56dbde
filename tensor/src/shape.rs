//! Shapes: up to six sizes, stored inline so that a shape needs no allocation.

use std::fmt;
use std::ops::Deref;

/// The most dimensions a tensor may have.
pub const MAX_RANK: usize = 6;

/// The sizes of a tensor's dimensions, outermost first. A scalar has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    sizes: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The shape with these sizes, outermost first.
    ///
    /// # Panics
    /// With more than [`MAX_RANK`] sizes.
    #[track_caller]
    pub fn new(sizes: &[usize]) -> Shape {
        assert!(sizes.len() <= MAX_RANK, "a tensor has at most {MAX_RANK} dimensions, not {}", sizes.len());
        let mut shape = Shape { sizes: [1; MAX_RANK], rank: sizes.len() };
        shape.sizes[..sizes.len()].copy_from_slice(sizes);
        shape
    }

    /// The number of elements of a tensor of this shape (1 for a scalar).
    ///
    /// # Panics
    /// If the number is larger than a `usize` can hold.
    #[track_caller]
    pub fn count(&self) -> usize {
        match self.iter().try_fold(1_usize, |count, &size| count.checked_mul(size)) {
            Some(count) => count,
            None if self.contains(&0) => 0,
            None => panic!("a tensor of shape {self} has more elements than this machine can count"),
        }
    }

    /// The four sizes of an image batch, `[batch, channels, height, width]`.
    ///
    /// # Panics
    /// Unless the shape has four dimensions; `what` names the operation.
    #[track_caller]
    pub fn nchw(&self, what: &str) -> [usize; 4] {
        match **self {
            [n, c, h, w] => [n, c, h, w],
            _ => panic!("{what}: expected [batch, channels, height, width], got {self}"),
        }
    }

    /// The two sizes of a matrix, `[rows, columns]`.
    ///
    /// # Panics
    /// Unless the shape has two dimensions; `what` names the operation.
    #[track_caller]
    pub fn matrix(&self, what: &str) -> [usize; 2] {
        match **self {
            [rows, cols] => [rows, cols],
            _ => panic!("{what}: expected [rows, columns], got {self}"),
        }
    }

    /// The strides in row-major order: the number of elements between neighbours along each dimension.
    pub fn strides(&self) -> Shape {
        let mut strides = *self;
        let mut step = 1;
        for d in (0..self.rank).rev() {
            strides.sizes[d] = step;
            step = step.saturating_mul(self.sizes[d]); // may overflow only beside a size of 0, where no stride is used
        }
        strides
    }

    /// `[outer, size, inner]`: the product of the sizes before `dim`, the size of `dim`, and the product of the sizes after it.
    ///
    /// # Panics
    /// If there is no dimension `dim`; `what` names the operation.
    #[track_caller]
    pub fn outer_size_inner(&self, dim: usize, what: &str) -> [usize; 3] {
        assert!(dim < self.rank, "{what}: no dimension {dim} in {self}");
        [self[..dim].iter().product(), self[dim], self[dim + 1..].iter().product()]
    }

    /// This shape with the size of `dim` replaced.
    ///
    /// # Panics
    /// If there is no dimension `dim`.
    #[track_caller]
    pub fn with(&self, dim: usize, size: usize) -> Shape {
        let mut shape = *self;
        shape.sizes[..self.rank][dim] = size;
        shape
    }

    /// This shape without `dim`.
    pub(crate) fn without(&self, dim: usize) -> Shape {
        let kept: Vec<usize> = (0..self.rank).filter(|&d| d != dim).map(|d| self.sizes[d]).collect();
        Shape::new(&kept)
    }

    /// The shape that `self` and `other` broadcast to, by NumPy's rule: shapes are aligned at the last dimension, and where two sizes
    /// differ, one of them must be 1. `None` if the shapes do not broadcast.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank.max(other.rank);
        let (a, b) = (self.padded(rank), other.padded(rank));
        let mut out = Shape { sizes: [1; MAX_RANK], rank };
        for d in 0..rank {
            out.sizes[d] = match (a.sizes[d], b.sizes[d]) {
                (x, y) if x == y => x,
                (1, y) => y,
                (x, 1) => x,
                _ => return None,
            };
        }
        Some(out)
    }

    /// The strides of this shape within `result`, which it broadcasts to: 0 along each dimension that is repeated.
    pub(crate) fn broadcast_strides(&self, result: &Shape) -> Shape {
        let own = self.padded(result.rank);
        let mut steps = own.strides();
        for d in (0..own.rank).filter(|&d| own.sizes[d] == 1) {
            steps.sizes[d] = 0;
        }
        steps
    }

    /// This shape with sizes of 1 in front, so that it has `rank` dimensions. `rank` is at least its own and at most [`MAX_RANK`].
    pub fn padded(&self, rank: usize) -> Shape {
        let mut out = Shape { sizes: [1; MAX_RANK], rank };
        out.sizes[rank - self.rank..rank].copy_from_slice(self);
        out
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.sizes[..self.rank]
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(sizes: &[usize]) -> Shape {
        Shape::new(sizes)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(sizes: [usize; N]) -> Shape {
        Shape::new(&sizes)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        *shape
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
