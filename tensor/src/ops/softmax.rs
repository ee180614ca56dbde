//! Along one dimension, with m = max x so that no exponential overflows:
//!   logsumexp: y = m + ln Σ e^(x − m)         dx = dy · e^(x − y)
//!   log_softmax: y = x − logsumexp(x)         dx = dy − e^y · Σ dy

use crate::cpu::parallel;
use crate::tensor::Tensor;

impl Tensor {
    /// ln Σ eˣ along `dim`, which goes.
    ///
    /// # Panics
    /// If there is no such dimension, or nothing along it.
    #[track_caller]
    pub fn logsumexp(&self, dim: usize) -> Tensor {
        let [_, size, inner] = self.shape().around(dim, "logsumexp");
        let max = self.max(&[dim], false);
        let (x, m) = (self.data(), max.data());
        Tensor::build(*max.shape(), |out| {
            parallel::rows(out, inner, |row, out| {
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
    /// If there is no such dimension, or nothing along it.
    #[track_caller]
    pub fn log_softmax(&self, dim: usize) -> Tensor {
        // The maximum goes first: what all numbers share must not round the result.
        let x = self.sub(&self.max(&[dim], true));
        let kept = x.shape().with(dim, 1);
        x.sub(&x.logsumexp(dim).reshape(kept))
    }
}
