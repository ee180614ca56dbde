//! A choice between two tensors, element by element, with broadcasting:  y = a where c ≠ 0,  b elsewhere.
//! Backward passes dy to a where c ≠ 0, and to b elsewhere. Numbers that are not chosen do not matter, even if they are not finite.

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::WHERE_COND];
pub(super) static WHERE_COND: Kernel = Kernel::checked(&WGSL, "where_cond");

impl Tensor {
    /// PyTorch's `where(self, a, b)`: `a` where this condition is not 0 and `b` elsewhere, element by element. The three
    /// shapes broadcast to that of the result.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn where_cond(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let branches = a.shape().broadcast(b.shape());
        let Some(shape) = branches.and_then(|shape| shape.broadcast(self.shape())) else {
            panic!("where_cond: {}, {} and {} do not broadcast", self.shape(), a.shape(), b.shape());
        };
        let [c, a, b] = [self, a, b].map(|x| if *x.shape() == shape { x.clone() } else { x.expand(shape) });
        if let Device::Gpu(_) = c.device() {
            let quads = shape.count().div_ceil(4);
            return WHERE_COND.over(quads).read(&c).read(&a).read(&b).params([quads]).write(shape);
        }
        let (inputs, c, a, b) = ([&c, &a, &b], c.data(), a.data(), b.data());
        Tensor::build("where_cond", &inputs, shape, |out| {
            parallel::for_each_chunk(out, |first, part| {
                let choices = c[first..].iter().zip(a[first..].iter().zip(&b[first..]));
                part.iter_mut().zip(choices).for_each(|(y, (&c, (&a, &b)))| *y = if c != 0.0 { a } else { b });
            });
        })
    }
}
