//! Pooling over square windows, [batch, channels, height, width] → [batch, channels, (height + 2p − k)/s + 1, …]:
//!   max: the largest pixel of the window inside the image, NaN if one is; backward finds the first such pixel again and adds dy to it;
//!   avg: Σ / k², where pixels outside the image count as zeros; backward adds dy/k² to every pixel of the window.
//! The global average is the mean over height and width: → [batch, channels].

use crate::cpu::parallel;
use crate::device::Device;
use crate::kernel::Kernel;
use crate::launch::LaunchBuilder;
use crate::ops::conv2d::Conv;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::POOL];
pub(super) static MAX_POOL2D: Kernel = Kernel::checked(&WGSL, "max_pool2d").of_any_dtype();
pub(super) static MAX_POOL2D_GRADIENT: Kernel = Kernel::checked(&WGSL, "max_pool2d_gradient").of_any_dtype();
pub(super) static AVG_POOL2D: Kernel = Kernel::checked(&WGSL, "avg_pool2d").of_any_dtype();
pub(super) static AVG_POOL2D_GRADIENT: Kernel = Kernel::checked(&WGSL, "avg_pool2d_gradient").of_any_dtype();

/// The size, stride and padding of a square pooling window, PyTorch's `kernel_size`, `stride` and `padding`:
/// `[batch, channels, height, width]` → `[batch, channels, (height + 2p − k)/s + 1, …]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// The side of the window.
    pub kernel: usize,
    /// The step between neighbouring windows, at least 1.
    pub stride: usize,
    /// The number of rows and columns on each side of the image, at most half the kernel.
    pub padding: usize,
}

impl Pool {
    #[track_caller]
    fn output(self, what: &str, x: &Tensor) -> [usize; 4] {
        self.output_of(what, x.shape().nchw(what))
    }

    /// The shape of the result for images of this shape.
    #[track_caller]
    fn output_of(self, what: &str, [batch, channels, height, width]: [usize; 4]) -> [usize; 4] {
        assert!(self.stride > 0 && self.kernel > 0 && self.padding <= self.kernel / 2, "{what}: {self:?}");
        let conv = Conv { stride: self.stride, padding: self.padding };
        let places = conv.output([height, width], [self.kernel; 2]).filter(|_| height > 0 && width > 0);
        let Some([oh, ow]) = places else {
            panic!("{what}: image [{batch}, {channels}, {height}, {width}] too small for {self:?}");
        };
        [batch, channels, oh, ow]
    }

    /// A launch of a kernel with one invocation for each number of `of`, and the sizes of windows over `image` that give `out`.
    fn run(self, kernel: &'static Kernel, of: [usize; 4], image: [usize; 4], out: [usize; 4]) -> LaunchBuilder {
        let sizes = [image[0] * image[1], image[2], image[3], out[2], out[3], self.kernel, self.stride, self.padding];
        kernel.over(of.iter().product()).params(sizes)
    }

    /// The pixels inside the image of the window at (i, j), row by row.
    fn pixels(self, [i, j]: [usize; 2], [height, width]: [usize; 2]) -> impl Iterator<Item = usize> {
        let along = |place: usize, size: usize| {
            let start = place * self.stride;
            start.saturating_sub(self.padding)..(start + self.kernel).saturating_sub(self.padding).min(size)
        };
        let columns = along(j, width);
        along(i, height).flat_map(move |y| columns.clone().map(move |x| y * width + x))
    }

    fn largest(self, image: &[f32], at: [usize; 2], size: [usize; 2]) -> usize {
        let pixels = self.pixels(at, size);
        let larger = |p: usize, best: usize| image[p] > image[best] || image[p].is_nan();
        pixels.reduce(|best, p| if larger(p, best) { p } else { best }).expect("a window overlaps the image")
    }
}

impl Tensor {
    /// The largest pixel of each window (PyTorch's `max_pool2d`). Pixels outside the image are ignored.
    ///
    /// # Panics
    /// If the padded image is smaller than the window, or the padding more than half of it.
    #[track_caller]
    pub fn max_pool2d(&self, pool: Pool) -> Tensor {
        let size = pool.output("max_pool2d", self);
        if let Device::Gpu(_) = self.device() {
            return pool
                .run(&MAX_POOL2D, size, self.shape().nchw("max_pool2d"), size)
                .read(self)
                .dtype(self.dtype())
                .write(size);
        }
        self.pooled("max_pool2d", size, |image, at, size| image[pool.largest(image, at, size)])
    }

    /// The gradient of [`max_pool2d`](Tensor::max_pool2d) at `self`, from the gradient of its result: each dy is added to the first
    /// largest pixel of its window.
    ///
    /// # Panics
    /// If `dy` does not have the shape of the result.
    #[track_caller]
    pub fn max_pool2d_gradient(&self, dy: &Tensor, pool: Pool) -> Tensor {
        let out = pool.output("max_pool2d_gradient", self);
        let image = self.shape().nchw("max_pool2d_gradient");
        check(dy, out);
        if let Device::Gpu(_) = self.device() {
            return pool
                .run(&MAX_POOL2D_GRADIENT, image, image, out)
                .read(self)
                .read(dy)
                .dtype(self.dtype())
                .write(image);
        }
        let x = self.data();
        dealt("max_pool2d_gradient", dy, out, image, |plane, at, size, dy, dx| {
            dx[pool.largest(&x[plane * dx.len()..][..dx.len()], at, size)] += dy;
        })
    }

    /// The sum of each window divided by k² (PyTorch's `avg_pool2d`). Pixels outside the image count as zeros.
    ///
    /// # Panics
    /// If the padded image is smaller than the window, or the padding more than half of it.
    #[track_caller]
    pub fn avg_pool2d(&self, pool: Pool) -> Tensor {
        let size = pool.output("avg_pool2d", self);
        if let Device::Gpu(_) = self.device() {
            return pool
                .run(&AVG_POOL2D, size, self.shape().nchw("avg_pool2d"), size)
                .read(self)
                .dtype(self.dtype())
                .write(size);
        }
        let share = 1.0 / (pool.kernel * pool.kernel) as f32;
        self.pooled("avg_pool2d", size, |image, at, size| share * pool.pixels(at, size).map(|p| image[p]).sum::<f32>())
    }

    /// The gradient of [`avg_pool2d`](Tensor::avg_pool2d) for images of `size`, from the gradient of its result, `self`.
    ///
    /// # Panics
    /// If `self` does not have the shape of the result.
    #[track_caller]
    pub fn avg_pool2d_gradient(&self, pool: Pool, size: [usize; 2]) -> Tensor {
        let [batch, channels, oh, ow] = self.shape().nchw("avg_pool2d_gradient");
        let share = 1.0 / (pool.kernel * pool.kernel) as f32;
        let (image, out) = ([batch, channels, size[0], size[1]], [batch, channels, oh, ow]);
        assert_eq!(
            pool.output_of("avg_pool2d_gradient", image),
            out,
            "avg_pool2d_gradient: {} of {size:?}",
            self.shape()
        );
        if let Device::Gpu(_) = self.device() {
            return pool.run(&AVG_POOL2D_GRADIENT, image, image, out).read(self).dtype(self.dtype()).write(image);
        }
        dealt("avg_pool2d_gradient", self, out, image, |_, at, size, dy, dx| {
            pool.pixels(at, size).for_each(|p| dx[p] += share * dy);
        })
    }

    /// The mean of each channel: `[batch, channels, height, width]` → `[batch, channels]`.
    ///
    /// # Panics
    /// Unless there are four dimensions.
    #[track_caller]
    pub fn global_avg_pool2d(&self) -> Tensor {
        self.shape().nchw("global_avg_pool2d");
        self.mean(&[2, 3], false)
    }

    fn pooled(
        &self,
        operation: &str,
        out: [usize; 4],
        window: impl Fn(&[f32], [usize; 2], [usize; 2]) -> f32 + Sync,
    ) -> Tensor {
        let [_, _, height, width] = self.shape().nchw("pool");
        let [_, _, oh, ow] = out;
        Tensor::build(operation, &[self], out.into(), |y| {
            parallel::for_each_row(y, oh * ow, |plane, y| {
                let image = &self.data()[plane * height * width..][..height * width];
                y.iter_mut().enumerate().for_each(|(p, y)| *y = window(image, [p / ow, p % ow], [height, width]));
            });
        })
    }
}

#[track_caller]
fn check(dy: &Tensor, out: [usize; 4]) {
    assert_eq!(dy.shape()[..], out, "pooling: gradient {} for a result of {out:?}", dy.shape());
}

/// Distributes every window's `dy` to the pixels of its plane of the image.
fn dealt(
    operation: &str,
    dy: &Tensor,
    out: [usize; 4],
    image: [usize; 4],
    deal: impl Fn(usize, [usize; 2], [usize; 2], f32, &mut [f32]) + Sync,
) -> Tensor {
    let ([_, _, oh, ow], [_, _, height, width]) = (out, image);
    Tensor::build(operation, &[dy], image.into(), |dx| {
        parallel::for_each_row(dx, height * width, |plane, dx| {
            dx.fill(0.0);
            for (p, &dy) in dy.data()[plane * oh * ow..][..oh * ow].iter().enumerate() {
                deal(plane, [p / ow, p % ow], [height, width], dy, dx);
            }
        });
    })
}
