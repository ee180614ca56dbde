//! Resizing images, [batch, channels, height, width] → [batch, channels, new height, new width]:
//!   y[i, j] = (1 − u)·((1 − v)·x[i₀, j₀] + v·x[i₀, j₁]) + u·((1 − v)·x[i₁, j₀] + v·x[i₁, j₁])
//! Row i of y corresponds to the fractional row r of x: i₀ = ⌊r⌋, u = r − i₀, i₁ = min(i₀ + 1, last). The same holds for columns, with v.
//!   nearest:                      r = ⌊i·h/h′⌋
//!   bilinear:                     r = max((i + ½)·h/h′ − ½, 0)
//!   bilinear with align_corners:  r = i·(h − 1)/(h′ − 1)
//! Backward is the adjoint: each dy is distributed to its four pixels with the same weights.

use crate::cpu::parallel;
use crate::cpu::resize::{self, Table};
use crate::device::Device;
use crate::kernel::Kernel;
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [shaders::GRID, shaders::INTERPOLATE];
pub(super) static INTERPOLATE: Kernel = Kernel::checked(&WGSL, "interpolate").of_any_dtype();
pub(super) static INTERPOLATE_GRADIENT: Kernel = Kernel::checked(&WGSL, "interpolate_gradient").of_any_dtype();

/// How a pixel of the resized image is computed from the original: the modes of PyTorch's `interpolate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpolation {
    /// From the pixel that it falls on.
    Nearest,
    /// From the four pixels around it.
    Bilinear {
        /// Whether the centres of the corner pixels stay in place, rather than their outer corners.
        align_corners: bool,
    },
}

/// One row or column of the result: the two rows or columns of the image around it, and the weight of the second.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

impl Interpolation {
    /// Whether this doubles the size, so that every row and column is a quarter of the way between two.
    fn doubles(self, from: [usize; 2], to: [usize; 2]) -> bool {
        to == from.map(|side| 2 * side) && self == Interpolation::Bilinear { align_corners: false }
    }

    /// The weight of every pixel of a plane in every pixel of the result: (pixel, result, weight).
    fn shares(self, from: [usize; 2], to: [usize; 2]) -> impl Iterator<Item = (usize, usize, f32)> {
        let (ys, xs) = (self.along(from[0], to[0]), self.along(from[1], to[1]));
        let ends = |between: Between| [(between.first, 1.0 - between.share), (between.second, between.share)];
        (0..to[0] * to[1]).flat_map(move |result| {
            let (y, x) = (ends(ys[result / to[1]]), ends(xs[result % to[1]]));
            let pairs = y.into_iter().flat_map(move |y| x.into_iter().map(move |x| (y, x)));
            pairs.map(move |((row, down), (column, across))| (row * from[1] + column, result, down * across))
        })
    }

    /// The number of the mode in the shader.
    fn row(self) -> usize {
        match self {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear { align_corners } => 1 + usize::from(align_corners),
        }
    }

    fn along(self, from: usize, to: usize) -> Vec<Between> {
        let ratio = from as f64 / to as f64;
        let at = |i: usize| match self {
            Interpolation::Nearest => (i * from / to) as f64,
            Interpolation::Bilinear { align_corners: false } => ((i as f64 + 0.5) * ratio - 0.5).max(0.0),
            Interpolation::Bilinear { align_corners: true } => i as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64,
        };
        let between = |i: usize| {
            let first = (at(i) as usize).min(from - 1);
            Between { first, second: (first + 1).min(from - 1), share: (at(i) - first as f64) as f32 }
        };
        (0..to).map(between).collect()
    }
}

/// The shader computes positions as fractions of u32.
#[track_caller]
fn check_fractions(what: &str, from: [usize; 2], to: [usize; 2]) {
    for (from, to) in from.into_iter().zip(to) {
        assert!(
            (from + 1).saturating_mul(to + 1) < 1 << 30,
            "{what}: a side of {from} and {to} pixels is too long for a GPU"
        );
    }
}

impl Tensor {
    /// The images `[batch, channels, height, width]` resized to `size`, `[height, width]`. Row i of the result corresponds to the
    /// fractional row r of the image: nearest `r = ⌊i·h/h′⌋`, bilinear `r = max((i + ½)·h/h′ − ½, 0)`, with corners aligned
    /// `r = i·(h − 1)/(h′ − 1)`. The same holds for columns. There is no antialiasing.
    ///
    /// # Panics
    /// Unless there are four dimensions and both images have pixels; on a GPU, if a side of one image times that of the other is 2³⁰ or
    /// more.
    #[track_caller]
    pub fn interpolate(&self, size: [usize; 2], how: Interpolation) -> Tensor {
        let [batch, channels, height, width] = self.shape().nchw("interpolate");
        assert!(height * width * size[0] * size[1] > 0, "interpolate: {} to {size:?}", self.shape());
        let to = [batch, channels, size[0], size[1]];
        if let Device::Gpu(_) = self.device() {
            check_fractions("interpolate", [height, width], size);
            let run = INTERPOLATE.over(to.iter().product()).set("HOW", how.row()).read(self).dtype(self.dtype());
            return run.params([batch * channels, height, width, size[0], size[1]]).write(to);
        }
        let (x, from) = (self.data(), [height, width]);
        Tensor::build("interpolate", &[self], to.into(), |out| {
            if Table::suits(height * width, size[0] * size[1]) {
                Table::new(height * width, size[0] * size[1], how.shares(from, size)).map(x, out);
            } else if how.doubles(from, size) {
                resize::double(x, from, out);
            } else {
                let shares = [how.along(height, size[0]), how.along(width, size[1])];
                parallel::for_each_row(out, size[0] * size[1], |plane, out| {
                    blend(&x[plane * height * width..][..height * width], width, &shares, out);
                });
            }
        })
    }

    /// The adjoint of [`interpolate`](Tensor::interpolate) from images of `size`: the gradient of its input.
    ///
    /// # Panics
    /// Unless there are four dimensions and both images have pixels; on a GPU, if a side of one image times that of the other is 2³⁰ or
    /// more.
    #[track_caller]
    pub fn interpolate_gradient(&self, size: [usize; 2], how: Interpolation) -> Tensor {
        let [batch, channels, height, width] = self.shape().nchw("interpolate_gradient");
        assert!(height * width * size[0] * size[1] > 0, "interpolate_gradient: {} from {size:?}", self.shape());
        let image = [batch, channels, size[0], size[1]];
        if let Device::Gpu(_) = self.device() {
            check_fractions("interpolate_gradient", size, [height, width]);
            let run =
                INTERPOLATE_GRADIENT.over(image.iter().product()).set("HOW", how.row()).read(self).dtype(self.dtype());
            return run.params([batch * channels, size[0], size[1], height, width]).write(image);
        }
        let (dy, from) = (self.data(), [height, width]);
        Tensor::build("interpolate_gradient", &[self], image.into(), |dx| {
            if Table::suits(height * width, size[0] * size[1]) {
                let turned = how.shares(size, from).map(|(pixel, result, share)| (result, pixel, share));
                Table::new(height * width, size[0] * size[1], turned).map(dy, dx);
            } else if how.doubles(size, from) {
                resize::double_adjoint(dy, size, dx);
            } else {
                let shares = [how.along(size[0], height), how.along(size[1], width)];
                parallel::for_each_row(dx, size[0] * size[1], |plane, dx| {
                    deal(&dy[plane * height * width..][..height * width], &shares, size[1], dx);
                });
            }
        })
    }
}

/// Resizes one image.
#[inline(always)]
fn blend(image: &[f32], width: usize, [ys, xs]: &[Vec<Between>; 2], out: &mut [f32]) {
    for (y, out) in ys.iter().zip(out.chunks_exact_mut(xs.len())) {
        let (a, b) = (&image[y.first * width..][..width], &image[y.second * width..][..width]);
        for (x, out) in xs.iter().zip(out) {
            let along = |row: &[f32]| (1.0 - x.share) * row[x.first] + x.share * row[x.second];
            *out = (1.0 - y.share) * along(a) + y.share * along(b);
        }
    }
}

/// The adjoint of [`blend`]: each gradient is distributed to its four pixels.
#[inline(always)]
fn deal(dy: &[f32], [ys, xs]: &[Vec<Between>; 2], width: usize, dx: &mut [f32]) {
    dx.fill(0.0);
    for (y, dy) in ys.iter().zip(dy.chunks_exact(xs.len())) {
        for (row, of_row) in [(y.first, 1.0 - y.share), (y.second, y.share)] {
            let dx = &mut dx[row * width..][..width];
            for (x, dy) in xs.iter().zip(dy) {
                dx[x.first] += of_row * (1.0 - x.share) * dy;
                dx[x.second] += of_row * x.share * dy;
            }
        }
    }
}
