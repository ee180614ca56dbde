//! Along one dimension, with m = max x, which keeps the exponentials from overflowing:
//!   logsumexp: y = m + ln Σ e^(x − m)         dx = dy · e^(x − y)
//!   log_softmax: y = x − logsumexp(x)         dx = dy − e^y · Σ dy

use crate::cpu::parallel;
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
        let (x, m) = (self.data(), max.data());
        Tensor::build(*max.shape(), |out| {
            parallel::for_each_row(out, inner, |row, out| {
                let m = &m[row * inner..][..inner];
                out.fill(0.0);
                for line in x[row * size * inner..][..size * inner].chunks(inner) {
                    for j in 0..inner {
                        out[j] += (line[j] - m[j]).exp();
                    }
                }
                out.iter_mut().zip(m).for_each(|(sum, &m)| *sum = m + sum.ln());
            });
        })
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
