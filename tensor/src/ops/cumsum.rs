//! Sums from the start of a dimension:  y[o, s, i] = Σ_{t ≤ s} x[o, t, i].   Backward sums from the end:  dx[o, s, i] = Σ_{t ≥ s} dy[o, t, i].
//! A CPU adds in f64, a GPU in f32, both one number after the other.

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::CUMSUM];
pub(super) static CUMSUM: Kernel = Kernel::checked(&WGSL, "cumsum");

impl Tensor {
    /// The sum of every element and all before it along `dim` (PyTorch's `cumsum`). The result has this shape.
    ///
    /// # Panics
    /// If the dimension does not exist.
    #[track_caller]
    pub fn cumsum(&self, dim: usize) -> Tensor {
        let sizes = self.shape().outer_size_inner(dim, "cumsum");
        running_sums("cumsum", self, sizes, false)
    }

    /// The adjoint of [`cumsum`](Tensor::cumsum): the sum of every element and all behind it along `dim`. The result has this shape.
    ///
    /// # Panics
    /// If the dimension does not exist.
    #[track_caller]
    pub fn cumsum_gradient(&self, dim: usize) -> Tensor {
        let sizes = self.shape().outer_size_inner(dim, "cumsum_gradient");
        running_sums("cumsum_gradient", self, sizes, true)
    }
}

fn running_sums(operation: &'static str, x: &Tensor, [outer, size, inner]: [usize; 3], from_end: bool) -> Tensor {
    if let Device::Gpu(_) = x.device() {
        let run = CUMSUM.over(outer * inner).set("FROM_END", usize::from(from_end)).read(x);
        return run.params([outer, size, inner]).named(operation).write(x.shape());
    }
    let data = x.data();
    Tensor::build(operation, &[x], *x.shape(), |out| {
        if inner == 1 {
            return parallel::for_each_row(out, ROWS * size, |some, out| {
                let x = &data[some * ROWS * size..][..out.len()];
                sums_of_rows(x, out, size, from_end);
            });
        }
        parallel::for_each_row(out, size * inner, |row, out| {
            let x = &data[row * size * inner..][..size * inner];
            let mut sums = vec![0.0f64; inner];
            for s in 0..size {
                let at = if from_end { size - 1 - s } else { s } * inner;
                let lines = out[at..][..inner].iter_mut().zip(&x[at..][..inner]);
                lines.zip(&mut sums).for_each(|((y, &x), sum)| {
                    *sum += f64::from(x);
                    *y = *sum as f32;
                });
            }
        });
    })
}

/// Rows whose sums are computed at the same time, because an addition waits for the one before it.
const ROWS: usize = 8;

/// The sums of up to [`ROWS`] contiguous rows.
#[inline(always)]
fn sums_of_rows(x: &[f32], out: &mut [f32], size: usize, from_end: bool) {
    let mut sums = [0.0f64; ROWS];
    let rows = out.len() / size;
    for s in 0..size {
        let at = if from_end { size - 1 - s } else { s };
        for (row, sum) in sums[..rows].iter_mut().enumerate() {
            *sum += f64::from(x[row * size + at]);
            out[row * size + at] = *sum as f32;
        }
    }
}
