//! Along one dimension, with m = max x, which keeps the exponentials from overflowing:
//!   logsumexp: y = m + ln Σ e^(x − m)         dx = dy · e^(x − y)
//!   log_softmax: y = x − logsumexp(x)         dx = dy − e^y · Σ dy
//!   softmax: y = e^(x − m) / Σ e^(x − m)      dx = y · (dy − Σ dy·y)

use crate::cpu::elementary::{exp, ln};
use crate::cpu::parallel;
use crate::cpu::simd::{Isa, SimdKernel, Vector};
use crate::cpu::sums::{largest, sum, sum_of};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 3] = [shaders::GRID, shaders::MATH, shaders::SOFTMAX];
pub(super) static LOGSUMEXP: Kernel = Kernel::checked(&WGSL, "logsumexp");

impl Tensor {
    /// ln Σ eˣ along `dim`, which is removed from the shape. It is ∞ if one of the numbers is, and −∞ if all are.
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
        if self.count() == 0 {
            return Tensor::zeros(self.shape().without(dim));
        }
        let max = self.max(&[dim], false);
        let (x, m, isa) = (self.data(), max.data(), Isa::current());
        Tensor::build("logsumexp", &[self], *max.shape(), |out| {
            parallel::dispatch_rows(out, inner, size * inner, &|row, out| {
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
        let [_, size, inner] = self.shape().outer_size_inner(dim, "softmax");
        assert!(size > 0, "softmax: {} has nothing along dimension {dim}", self.shape());
        if self.count() == 0 {
            return self.clone();
        }
        if let (Device::Cpu, 1) = (self.device(), inner) {
            let (x, isa) = (self.data(), Isa::current());
            return Tensor::build("softmax", &[self], *self.shape(), |out| {
                parallel::dispatch_rows(out, size, size, &|row, out| {
                    isa.dispatch(SoftmaxRow { x: &x[row * size..][..size], out });
                });
            });
        }
        let e = self.sub(&self.max(&[dim], true)).exp();
        e.div(&e.sum(&[dim], true))
    }

    /// The gradient of [`softmax`](Tensor::softmax)'s input, from its result `self` and the result's gradient: `y·(dy − Σ dy·y)`.
    ///
    /// # Panics
    /// If the shapes differ, or the dimension does not exist.
    #[track_caller]
    pub fn softmax_gradient(&self, dy: &Tensor, dim: usize) -> Tensor {
        let what = "softmax_gradient";
        let [_, size, inner] = self.shape().outer_size_inner(dim, what);
        assert_eq!(self.shape(), dy.shape(), "{what}: {} and {}", self.shape(), dy.shape());
        if let (Device::Cpu, 1) = (self.device(), inner) {
            let (y, isa) = (self.data(), Isa::current());
            return Tensor::build(what, &[self, dy], *self.shape(), |dx| {
                parallel::dispatch_rows(dx, size, size, &|row, dx| {
                    let [y, dy] = [y, dy.data()].map(|data| &data[row * size..][..size]);
                    isa.dispatch(SoftmaxRowGradient { y, dy, dx });
                });
            });
        }
        self.mul(&dy.sub(&dy.mul(self).sum(&[dim], true)))
    }

    /// x − ln Σ eˣ along `dim`: the logarithm of a softmax.
    ///
    /// # Panics
    /// If the dimension does not exist, or has size 0.
    #[track_caller]
    pub fn log_softmax(&self, dim: usize) -> Tensor {
        let [_, size, _] = self.shape().outer_size_inner(dim, "log_softmax");
        assert!(size > 0, "log_softmax: {} has nothing along dimension {dim}", self.shape());
        if self.count() == 0 {
            return self.clone();
        }
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
        let finite = |m: f32| m.min(f32::MAX); // ∞ − ∞ is NaN, where the result is ∞
        match (m, &mut *out) {
            ([m], [sum]) => *sum = sum_of_exponentials(x, finite(*m)),
            _ => {
                out.fill(0.0);
                for line in x.chunks(m.len()) {
                    out.iter_mut().zip(line.iter().zip(m)).for_each(|(sum, (&x, &m))| *sum += exp(x - finite(m)));
                }
            }
        }
        out.iter_mut().zip(m).for_each(|(sum, &m)| *sum = m + ln(*sum));
    }
}

/// e^(x − m) / Σ e^(x − m) of a contiguous row.
struct SoftmaxRow<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl SimdKernel for SoftmaxRow<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let SoftmaxRow { x, out } = self;
        let m = largest(x);
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = exp(x - m));
        let scale = 1.0 / sum::<V>(out) as f32;
        out.iter_mut().for_each(|out| *out *= scale);
    }
}

/// y·(dy − Σ dy·y) of a contiguous row.
struct SoftmaxRowGradient<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl SimdKernel for SoftmaxRowGradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let SoftmaxRowGradient { y, dy, dx } = self;
        let sum = sum_of(y, dy, |y, dy| y * dy) as f32;
        dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (y, dy))| *dx = y * (dy - sum));
    }
}

/// Σ e^(x − m) of one contiguous column, in sixteen sums.
#[inline(always)]
fn sum_of_exponentials(x: &[f32], m: f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, &x)| *sum += exp(x - m));
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &x)| *sum += exp(x - m));
    sums.iter().sum()
}
