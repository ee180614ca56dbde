//! The place of the largest number along one dimension, the first of them:  y[o, i] = min { s : x[o, s, i] = max_t x[o, t, i] }.
//! Places are whole numbers held as f32, as `gather` takes them. It has no gradient.

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::ARGMAX];
pub(super) static ARGMAX: Kernel = Kernel::checked(&WGSL, "argmax");

impl Tensor {
    /// Where the largest number is along `dim`, which goes: its place counted from 0, a whole number held as f32. The first of
    /// equals.
    ///
    /// # Panics
    /// If there is no such dimension, or nothing along it.
    #[track_caller]
    pub fn argmax(&self, dim: usize) -> Tensor {
        let [outer, size, inner] = self.shape().around(dim, "argmax");
        assert!(size > 0, "argmax: {} has nothing along dimension {dim}", self.shape());
        let kept = self.shape().without(dim);
        if let Device::Gpu(_) = self.device() {
            return ARGMAX.over(outer * inner).read(self).params([outer, size, inner]).write(kept);
        }
        let x = self.data();
        Tensor::build(kept, |out| {
            parallel::rows(out, inner, |row, out| {
                let lines = &x[row * size * inner..][..size * inner];
                let mut most = lines[..inner].to_vec();
                out.fill(0.0);
                for (s, line) in lines.chunks(inner).enumerate().skip(1) {
                    for j in 0..inner {
                        if line[j] > most[j] {
                            (most[j], out[j]) = (line[j], s as f32);
                        }
                    }
                }
            });
        })
    }
}
