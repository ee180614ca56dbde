//! The index of the largest number along one dimension, the first one if several are equal:  y[o, i] = min { s : x[o, s, i] = max_t x[o, t, i] }.
//! Indices are whole numbers stored as f32, as `gather` takes them. There is no gradient.

use super::check_index_bound;
use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::ARGMAX];
pub(super) static ARGMAX: Kernel = Kernel::checked(&WGSL, "argmax");

impl Tensor {
    /// The index of the largest number along `dim`, which is removed from the shape. The index is a whole number stored as f32, counted
    /// from 0. Of several equal numbers the first one counts. If one of the numbers is NaN, it may be any index.
    ///
    /// # Panics
    /// If the dimension does not exist, or its size is 0 or more than 2²⁴, up to which f32 holds whole numbers exactly.
    #[track_caller]
    pub fn argmax(&self, dim: usize) -> Tensor {
        let [outer, size, inner] = self.shape().outer_size_inner(dim, "argmax");
        assert!(size > 0, "argmax: {} has nothing along dimension {dim}", self.shape());
        check_index_bound("argmax", size);
        let kept = self.shape().without(dim);
        if let Device::Gpu(_) = self.device() {
            return ARGMAX.over(outer * inner).read(self).params([outer, size, inner]).write(kept);
        }
        let x = self.data();
        Tensor::build("argmax", &[self], kept, |out| {
            parallel::for_each_row(out, inner, |row, out| {
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
