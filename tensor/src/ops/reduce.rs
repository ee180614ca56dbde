//! Sums, means, maxima and minima over chosen dimensions:  y[kept] = Σ_reduced x.
//! Long sums are cut into tiles of a fixed size. The totals of the tiles are added in order in f64, so the number of threads does not
//! change the result.

use crate::cpu::parallel;
use crate::cpu::simd::Isa;
use crate::cpu::sums::{Columns, Largest, Row, TILE, sum_columns};
use crate::device::Device;
use crate::kernel::{Dtype, Kernel};
use crate::shape::Shape;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::REDUCE];
pub(super) static REDUCE_ROWS: Kernel = Kernel::checked(&WGSL, "reduce_rows").of_any_dtype();
pub(super) static REDUCE_COLUMNS: Kernel = Kernel::checked(&WGSL, "reduce_columns").of_any_dtype();

/// Reduces the middle one of `[outer, size, inner]`, for the operation of this name, to a result of this shape.
type Runs = fn(&'static str, &Tensor, [usize; 3], Shape) -> Tensor;

impl Tensor {
    /// The sum over `dims`, which stay as sizes of 1 with `keepdim`.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice.
    #[track_caller]
    pub fn sum(&self, dims: &[usize], keepdim: bool) -> Tensor {
        self.reduced("sum", dims, keepdim, sum_runs)
    }

    /// The mean over `dims`, which stay as sizes of 1 with `keepdim`.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice.
    #[track_caller]
    pub fn mean(&self, dims: &[usize], keepdim: bool) -> Tensor {
        let sum = self.sum(dims, keepdim);
        sum.mul_scalar(sum.count() as f32 / self.count() as f32)
    }

    /// The largest element over `dims`, which stay as sizes of 1 with `keepdim`. The result is at least `f32::MIN`: a NaN or −∞ is
    /// never the largest.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice, or the tensor has no element.
    #[track_caller]
    pub fn max(&self, dims: &[usize], keepdim: bool) -> Tensor {
        assert!(self.count() > 0, "max: {} has no element", self.shape());
        self.reduced("max", dims, keepdim, max_runs)
    }

    /// The smallest element over `dims`, which stay as sizes of 1 with `keepdim`. The result is at most `f32::MAX`: a NaN or ∞ is
    /// never the smallest.
    ///
    /// # Panics
    /// If a dimension does not exist or is named twice, or the tensor has no element.
    #[track_caller]
    pub fn min(&self, dims: &[usize], keepdim: bool) -> Tensor {
        assert!(self.count() > 0, "min: {} has no element", self.shape());
        self.mul_scalar(-1.0).reduced("min", dims, keepdim, max_runs).mul_scalar(-1.0)
    }

    /// The sum of all elements, a scalar.
    pub fn sum_all(&self) -> Tensor {
        let all: Vec<usize> = (0..self.shape().len()).collect();
        self.sum(&all, false)
    }

    /// The mean of all elements, a scalar.
    pub fn mean_all(&self) -> Tensor {
        let all: Vec<usize> = (0..self.shape().len()).collect();
        self.mean(&all, false)
    }

    /// The sum over all dimensions that broadcasting repeats: the adjoint of broadcasting `shape` to this tensor's shape.
    ///
    /// # Panics
    /// If `shape` does not broadcast to this tensor's.
    #[track_caller]
    pub fn sum_to(&self, shape: &Shape) -> Tensor {
        if self.shape() == shape {
            return self.clone();
        }
        assert_eq!(shape.broadcast(self.shape()), Some(*self.shape()), "sum_to: {} to {shape}", self.shape());
        let padded = shape.padded(self.shape().len());
        let dims: Vec<usize> = (0..padded.len()).filter(|&d| padded[d] == 1 && self.shape()[d] != 1).collect();
        self.sum(&dims, true).reshape(shape)
    }

    /// Reduces groups of neighbouring dimensions one after the other, beginning with the last: each group is `outer × size × inner`.
    #[track_caller]
    fn reduced(&self, what: &'static str, dims: &[usize], keepdim: bool, runs: Runs) -> Tensor {
        let shape = *self.shape();
        let mut reduce = [false; crate::shape::MAX_RANK];
        for &d in dims {
            assert!(d < shape.len(), "{what}: no dimension {d} in {shape}");
            assert!(!reduce[d], "{what}: dimension {d} is named twice");
            reduce[d] = true;
        }
        let size = |d: usize| if reduce[d] { 1 } else { shape[d] };
        let kept: Vec<usize> = (0..shape.len()).filter(|&d| keepdim || !reduce[d]).map(size).collect();
        let kept = Shape::new(&kept);
        if let (Device::Gpu(_), Some(sizes)) = (self.device(), channel_sizes(&shape, &reduce)) {
            return channels_on_device(what, self, sizes).reshape(kept);
        }
        let mut result = self.clone();
        let mut sizes = shape;
        let mut end = shape.len();
        while let Some(last) = (0..end).rev().find(|&d| reduce[d]) {
            let first = (0..=last).rev().take_while(|&d| reduce[d]).last().expect("last itself is reduced");
            let outer: usize = sizes[..first].iter().product();
            let size: usize = sizes[first..=last].iter().product();
            let inner: usize = sizes[last + 1..].iter().product();
            (first..=last).for_each(|d| sizes = sizes.with(d, 1));
            end = first;
            let more = reduce[..end].contains(&true);
            result = runs(what, &result, [outer, size, inner], if more { sizes } else { kept });
        }
        result.reshape(kept)
    }
}

/// `[images, channels, plane]` if the first and the last dimension are reduced and those between them, the channels, are not.
fn channel_sizes(shape: &Shape, reduce: &[bool]) -> Option<[usize; 3]> {
    let first = (0..shape.len()).position(|d| !reduce[d])?;
    let end = (first..shape.len()).position(|d| reduce[d])? + first;
    let size = |dims: std::ops::Range<usize>| shape[dims].iter().product::<usize>();
    let fits = first > 0 && (end..shape.len()).all(|d| reduce[d]);
    fits.then(|| [size(0..first), size(first..end), size(end..shape.len())])
}

fn sum_runs(what: &'static str, x: &Tensor, [outer, size, inner]: [usize; 3], shape: Shape) -> Tensor {
    if let Device::Gpu(_) = x.device() {
        return runs_on_device(what, x, [outer, size, inner]).reshape(shape);
    }
    let (inputs, x, isa) = ([x], x.data(), Isa::current());
    let total = |x: &[f32]| {
        let mut sum = 0.0;
        isa.dispatch(Row { x, sum: &mut sum });
        sum
    };
    Tensor::build(what, &inputs, shape, |out| {
        if inner == 1 && size > TILE && outer < 64 {
            // Few long sums: the cores share the tiles of each.
            for (row, out) in out.iter_mut().enumerate() {
                let x = &x[row * size..][..size];
                let tiles = parallel::map(size.div_ceil(TILE), |i| total(&x[i * TILE..size.min((i + 1) * TILE)]));
                *out = tiles.into_iter().sum::<f64>() as f32;
            }
        } else if inner == 1 {
            parallel::for_each_row_of(out, 1, size, |row, out| out[0] = total(&x[row * size..][..size]) as f32);
        } else if outer < 16 && size * inner > 2 * parallel::GRAIN {
            // Few large matrices: the cores share the columns and rows of each.
            let matrices = x.chunks(size * inner);
            out.chunks_mut(inner).zip(matrices).for_each(|(out, x)| sum_columns(isa, x, out));
        } else {
            parallel::dispatch_rows(out, inner, size * inner, &|row, out| {
                let mut sums = vec![0.0f64; inner];
                let x = &x[row * size * inner..][..size * inner];
                isa.dispatch(Columns { x, cols: inner, first: 0, sums: &mut sums });
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
            });
        }
    })
}

fn max_runs(what: &'static str, x: &Tensor, [outer, size, inner]: [usize; 3], shape: Shape) -> Tensor {
    if let Device::Gpu(_) = x.device() {
        return runs_on_device(what, x, [outer, size, inner]).reshape(shape);
    }
    let (inputs, x, isa) = ([x], x.data(), Isa::current());
    Tensor::build(what, &inputs, shape, |out| {
        parallel::dispatch_rows(out, inner, size * inner, &|row, out| {
            isa.dispatch(Largest { x: &x[row * size * inner..][..size * inner], out });
        });
    })
}

/// Sums or maxima on an accelerator. Parts of the reduced dimension are reduced to one number each, and these again, until one is
/// left. A long row is reduced by a workgroup, a column or a short row by one invocation.
fn runs_on_device(what: &'static str, x: &Tensor, [outer, size, inner]: [usize; 3]) -> Tensor {
    let rows = inner == 1 && size > 64;
    let enough = outer * inner >= if rows { 64 } else { 16 * 1024 };
    let part = match (rows, enough) {
        (_, true) => size,
        (true, false) => TILE / 4,
        (false, false) => 256,
    };
    let kernel = if rows { &REDUCE_ROWS } else { &REDUCE_COLUMNS };
    let (x, parts) = launch(what, kernel, x, [outer, size, inner], part, size);
    if parts == 1 { x.reshape([outer, inner]) } else { runs_on_device(what, &x, [outer, parts, inner]) }
}

/// Sums or maxima of channels over images and pixels.
fn channels_on_device(what: &'static str, x: &Tensor, [images, channels, plane]: [usize; 3]) -> Tensor {
    let size = images * plane;
    let part = if channels >= 64 { size } else { TILE };
    let (x, parts) = launch(what, &REDUCE_ROWS, x, [channels, size, 1], part, plane);
    if parts == 1 { x } else { runs_on_device(what, &x, [channels, parts, 1]) }
}

/// The sum of parts on an accelerator, `[parts, n]`, as a tensor of this shape and type.
pub(super) fn sum_of_parts(parts: &Tensor, shape: Shape, dtype: Dtype) -> Tensor {
    let [size, inner] = [parts.shape()[0], shape.count()];
    let run = REDUCE_COLUMNS.over(inner).named("sum").read(parts).dtype(dtype);
    run.params([1, size, inner, size, 1, 1]).write(shape)
}

/// Adds the parts of a sum on an accelerator, `[parts, n]`, to a tensor of n elements, in place.
pub(super) fn add_parts(sum: &mut Tensor, parts: &Tensor) {
    let [size, inner] = [parts.shape()[0], sum.count()];
    let run = REDUCE_COLUMNS.over(inner).set("ACCUMULATE", 1).read(parts);
    run.params([1, size, inner, size, 1, 1]).update([sum]);
}

/// Reduces each part to one number: `[outer, parts, inner]`, and the number of parts.
fn launch(
    what: &'static str,
    kernel: &'static Kernel,
    x: &Tensor,
    [outer, size, inner]: [usize; 3],
    part: usize,
    plane: usize,
) -> (Tensor, usize) {
    let part = part.min(size).max(1);
    let parts = size.div_ceil(part).max(1);
    let numbers = outer * parts * inner;
    let run = if std::ptr::eq(kernel, &REDUCE_ROWS) { kernel.groups(numbers) } else { kernel.over(numbers) };
    let run = run.named(what).set("MAXIMUM", usize::from(what != "sum")).read(x).params([
        outer,
        size,
        inner,
        part,
        parts,
        plane.max(1),
    ]);
    (run.write([outer, parts, inner]), parts)
}
