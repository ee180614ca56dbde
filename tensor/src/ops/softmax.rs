//! Along one dimension, with m = max x, which keeps the exponentials from overflowing:
//!   logsumexp: y = m + ln Σ e^(x − m)         dx = dy · e^(x − y)
//!   log_softmax: y = x − logsumexp(x)         dx = dy − e^y · Σ dy
//!   softmax: y = e^(x − m) / Σ e^(x − m)      dx = y · (dy − Σ dy·y)

use crate::cpu::elementary::{exp, ln};
use crate::cpu::parallel;
use crate::cpu::simd::{Isa, SimdKernel, Vector};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::MATH, shaders::SOFTMAX];
pub(super) static LOGSUMEXP: Kernel = Kernel::checked(&WGSL, "logsumexp");

impl Tensor {
    /// ln Σ eˣ along `dim`, which is removed from the shape.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn logsumexp(&self, dim: usize) -> Tensor {
        let [outer, size, inner] = self.shape().outer_size_inner(dim, "logsumexp");
        assert!(size > 0, "logsumexp: {} has nothing along dimension {dim}", self.shape());
        if let Device::Gpu(_) = self.device() {
            let kept = self.shape().without(dim);
            return LOGSUMEXP.over(outer * inner).read(self).params([outer, size, inner]).write(kept);
        }
        let max = self.max(&[dim], false);
        let (x, m, isa) = (self.data(), max.data(), Isa::current());
        Tensor::build("logsumexp", &[self], *max.shape(), |out| {
            parallel::for_each_row_of(out, inner, size * inner, |row, out| {
                let x = &x[row * size * inner..][..size * inner];
                isa.dispatch(LogSumExp { x, m: &m[row * inner..][..inner], out });
            });
        })
    }

    /// eˣ / Σ eˣ along `dim`: positive numbers whose sum is 1.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn softmax(&self, dim: usize) -> Tensor {
        let [_, size, _] = self.shape().outer_size_inner(dim, "softmax");
        assert!(size > 0, "softmax: {} has nothing along dimension {dim}", self.shape());
        let e = self.sub(&self.max(&[dim], true)).exp();
        e.div(&e.sum(&[dim], true))
    }

    /// x − ln Σ eˣ along `dim`: the logarithm of a softmax.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn log_softmax(&self, dim: usize) -> Tensor {
        // The maximum is subtracted first, so that a large common offset does not round the result.
        let x = self.sub(&self.max(&[dim], true));
        let kept = x.shape().with(dim, 1);
        x.sub(&x.logsumexp(dim).reshape(kept))
    }
}

/// m + ln Σ e^(x − m) of each column of x.
struct LogSumExp<'a> {
    x: &'a [f32],
    m: &'a [f32],
    out: &'a mut [f32],
}

impl SimdKernel for LogSumExp<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let LogSumExp { x, m, out } = self;
        match (m, &mut *out) {
            ([m], [sum]) => *sum = sum_of_exponentials(x, *m),
            _ => {
                out.fill(0.0);
                for line in x.chunks(m.len()) {
                    out.iter_mut().zip(line.iter().zip(m)).for_each(|(sum, (&x, &m))| *sum += exp(x - m));
                }
            }
        }
        out.iter_mut().zip(m).for_each(|(sum, &m)| *sum = m + ln(*sum));
    }
}

/// Σ e^(x − m) of one contiguous column, in sixteen sums.
#[inline(always)]
fn sum_of_exponentials(x: &[f32], m: f32) -> f32 {
    let mut sums = [0.0; 16];
    for block in x.chunks(16) {
        sums.iter_mut().zip(block).for_each(|(sum, &x)| *sum += exp(x - m));
    }
    sums.iter().sum()
}
