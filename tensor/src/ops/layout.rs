//! Moves that change no number: permute, concat and slice.
//!   permute: y[i_order(0), i_order(1), …] = x[i_0, i_1, …]; backward permutes back.
//!   concat:  tensors side by side along a dimension; backward slices.
//!   slice:   `length` places from `start` along a dimension; backward puts them back among zeros.

use crate::cpu::parallel;
use crate::shape::Shape;
use crate::tensor::Tensor;

impl Tensor {
    /// The dimensions in another order: dimension `d` of the result is dimension `order[d]` of this tensor.
    ///
    /// # Panics
    /// Unless `order` names every dimension once.
    #[track_caller]
    pub fn permute(&self, order: &[usize]) -> Tensor {
        let (shape, strides) = (self.shape(), self.shape().strides());
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..shape.len()), "permute: order {order:?} for {shape}");
        let take = |from: &Shape| Shape::new(&order.iter().map(|&d| from[d]).collect::<Vec<_>>());
        let (to, steps) = (take(shape), take(&strides));
        let Some((&cols, outer)) = to.split_last() else { return self.clone() };
        let step = steps[outer.len()];
        let x = self.data();
        Tensor::build(to, |out| {
            parallel::rows(out, cols, |mut row, out| {
                let mut start = 0;
                for d in (0..outer.len()).rev() {
                    start += row % outer[d] * steps[d];
                    row /= outer[d];
                }
                out.iter_mut().zip(x[start..].iter().step_by(step)).for_each(|(y, &x)| *y = x);
            });
        })
    }

    /// Two dimensions exchanged.
    ///
    /// # Panics
    /// If one does not exist.
    #[track_caller]
    pub fn transpose(&self, a: usize, b: usize) -> Tensor {
        let rank = self.shape().len();
        assert!(a < rank && b < rank, "transpose: dimensions {a} and {b} of {}", self.shape());
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(a, b);
        self.permute(&order)
    }

    /// Tensors side by side along `dim`; all other sizes agree.
    ///
    /// # Panics
    /// Without tensors, or if sizes other than that of `dim` differ.
    #[track_caller]
    pub fn concat(parts: &[&Tensor], dim: usize) -> Tensor {
        let first = parts.first().expect("concat: no tensors").shape();
        let [outer, _, inner] = first.around(dim, "concat");
        for part in parts {
            let fits = part.shape().len() == first.len() && part.shape().with(dim, 1) == first.with(dim, 1);
            assert!(fits, "concat along {dim}: {first} and {}", part.shape());
        }
        let size: usize = parts.iter().map(|part| part.shape()[dim]).sum();
        Tensor::build(first.with(dim, size), |out| {
            let mut at = 0;
            for part in parts {
                let width = part.shape()[dim] * inner;
                for row in 0..outer {
                    out[row * size * inner + at..][..width].copy_from_slice(&part.data()[row * width..][..width]);
                }
                at += width;
            }
        })
    }

    /// `length` places from `start` along `dim`.
    ///
    /// # Panics
    /// If they reach past the end.
    #[track_caller]
    pub fn slice(&self, dim: usize, start: usize, length: usize) -> Tensor {
        let [outer, size, inner] = self.shape().around(dim, "slice");
        assert!(start + length <= size, "slice: {start}..{} of dimension {dim} of {}", start + length, self.shape());
        let x = self.data();
        Tensor::build(self.shape().with(dim, length), |out| {
            for row in 0..outer {
                let from = &x[(row * size + start) * inner..][..length * inner];
                out[row * length * inner..][..length * inner].copy_from_slice(from);
            }
        })
    }

    /// The adjoint of [`slice`](Tensor::slice): these places from `start` along `dim`, among zeros up to `size`.
    ///
    /// # Panics
    /// If they reach past the end.
    #[track_caller]
    pub fn slice_gradient(&self, dim: usize, start: usize, size: usize) -> Tensor {
        let [outer, length, inner] = self.shape().around(dim, "slice_gradient");
        assert!(start + length <= size, "slice_gradient: {} from {start} of {size}", self.shape());
        let dy = self.data();
        Tensor::build(self.shape().with(dim, size), |out| {
            out.fill(0.0);
            for row in 0..outer {
                let to = &mut out[(row * size + start) * inner..][..length * inner];
                to.copy_from_slice(&dy[row * length * inner..][..length * inner]);
            }
        })
    }
}
