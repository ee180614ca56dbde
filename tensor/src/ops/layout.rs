//! Operations that move numbers without changing them: permute, concat and slice; filling a tensor with one value; and conversion.
//!   permute: y[i_order(0), i_order(1), …] = x[i_0, i_1, …]; backward permutes back.
//!   concat:  joins tensors along a dimension; backward slices.
//!   slice:   `length` elements from `start` along a dimension; backward writes them among zeros.

use std::sync::Arc;

use crate::cpu::parallel;
use crate::device::{Accelerator, Device};
use crate::kernel::Dtype;
use crate::launch::{LAYOUT_CONVERT, LAYOUT_FILL, moved};
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
        if let Device::Gpu(_) = self.device() {
            return moved(self, &to, [&steps, &to.strides()], [0, 0]).named("permute").write(to);
        }
        let x = self.data();
        Tensor::build("permute", &[self], to, |out| {
            parallel::for_each_row(out, cols, |mut row, out| {
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

    /// The elements, repeated along dimensions of size 1 to fill `shape`: the adjoint of [`sum_to`](Tensor::sum_to).
    ///
    /// # Panics
    /// If this tensor's shape does not broadcast to `shape`.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        assert_eq!(self.shape().broadcast(&shape), Some(shape), "expand: {} to {shape}", self.shape());
        match self.device() {
            Device::Cpu => Tensor::zeros(shape).add(self),
            Device::Gpu(_) => {
                let steps = [&self.shape().broadcast_strides(&shape), &shape.strides()];
                moved(self, &shape, steps, [0, 0]).named("expand").write(shape)
            }
        }
    }

    /// Tensors joined along `dim` (PyTorch's `cat`). All other sizes must agree.
    ///
    /// # Panics
    /// Without tensors, or if sizes other than that of `dim` differ.
    #[track_caller]
    pub fn concat(parts: &[&Tensor], dim: usize) -> Tensor {
        let first = parts.first().expect("concat: no tensors").shape();
        let [outer, _, inner] = first.outer_size_inner(dim, "concat");
        for part in parts {
            let fits = part.shape().len() == first.len() && part.shape().with(dim, 1) == first.with(dim, 1);
            assert!(fits, "concat along {dim}: {first} and {}", part.shape());
        }
        let size: usize = parts.iter().map(|part| part.shape()[dim]).sum();
        let whole = first.with(dim, size);
        if let Device::Gpu(machine) = parts[0].device() {
            let mut result = Tensor::on_device_as(&machine, whole, Tensor::common_dtype(parts));
            let mut at = 0;
            for part in parts {
                let steps = [&part.shape().strides(), &whole.strides()];
                moved(part, part.shape(), steps, [0, at]).named("concat").update([&mut result]);
                at += part.shape()[dim] * inner;
            }
            return result;
        }
        Tensor::build("concat", parts, whole, |out| {
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

    /// `length` elements from `start` along `dim` (PyTorch's `narrow`).
    ///
    /// # Panics
    /// If they reach past the end.
    #[track_caller]
    pub fn slice(&self, dim: usize, start: usize, length: usize) -> Tensor {
        let [outer, size, inner] = self.shape().outer_size_inner(dim, "slice");
        let end = start.saturating_add(length);
        assert!(end <= size, "slice: {start}..{end} of dimension {dim} of {}", self.shape());
        let part = self.shape().with(dim, length);
        if let Device::Gpu(_) = self.device() {
            let steps = [&self.shape().strides(), &part.strides()];
            return moved(self, &part, steps, [start * inner, 0]).named("slice").write(part);
        }
        let x = self.data();
        Tensor::build("slice", &[self], part, |out| {
            for row in 0..outer {
                let from = &x[(row * size + start) * inner..][..length * inner];
                out[row * length * inner..][..length * inner].copy_from_slice(from);
            }
        })
    }

    /// The adjoint of [`slice`](Tensor::slice): a tensor of `size` along `dim` that holds this one from `start` on, and zeros elsewhere.
    ///
    /// # Panics
    /// If they reach past the end.
    #[track_caller]
    pub fn slice_gradient(&self, dim: usize, start: usize, size: usize) -> Tensor {
        let [outer, length, inner] = self.shape().outer_size_inner(dim, "slice_gradient");
        assert!(start.saturating_add(length) <= size, "slice_gradient: {} from {start} of {size}", self.shape());
        let whole = self.shape().with(dim, size);
        if let Device::Gpu(machine) = self.device() {
            let mut dx = filled(&machine, whole, 0.0);
            let steps = [&self.shape().strides(), &whole.strides()];
            moved(self, self.shape(), steps, [0, start * inner]).named("slice_gradient").update([&mut dx]);
            return dx;
        }
        let dy = self.data();
        Tensor::build("slice_gradient", &[self], whole, |out| {
            out.fill(0.0);
            for row in 0..outer {
                let to = &mut out[(row * size + start) * inner..][..length * inner];
                to.copy_from_slice(&dy[row * length * inner..][..length * inner]);
            }
        })
    }

    /// The same elements, rounded to this type. The CPU and a GPU without f16 ([`Limits::f16`](crate::Limits::f16)) keep f32.
    ///
    /// Operations take f16 wherever they take f32. Convolutions, batch normalisation, pooling, resizing, activations between layers, and
    /// sums and products of two f16 tensors give f16 again; all other results are f32. Every sum is f32 until it is stored. A number
    /// beyond 65,504 becomes infinite.
    pub fn to_dtype(&self, dtype: Dtype) -> Tensor {
        match self.device() {
            Device::Gpu(machine) if self.dtype() != dtype && (dtype == Dtype::F32 || machine.limits().f16) => {
                let quads = self.count().div_ceil(4);
                let run = LAYOUT_CONVERT.over(quads).named("to_dtype").read(self).params([quads]);
                run.dtype(dtype).write(self.shape())
            }
            _ => self.clone(),
        }
    }
}

/// A tensor on an accelerator whose elements are all `value`.
pub(crate) fn filled(machine: &Arc<dyn Accelerator>, shape: Shape, value: f32) -> Tensor {
    let quads = shape.count().div_ceil(4);
    LAYOUT_FILL.over(quads).named("full").floats([value]).params([quads]).write_on(machine, shape)
}
