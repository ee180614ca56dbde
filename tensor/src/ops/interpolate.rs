//! Resizing images, [batch, channels, height, width] → [batch, channels, new height, new width]:
//!   y[i, j] = (1 − u)·((1 − v)·x[i₀, j₀] + v·x[i₀, j₁]) + u·((1 − v)·x[i₁, j₀] + v·x[i₁, j₁])
//! Row i of y lies at the fractional row r of x, i₀ = ⌊r⌋, u = r − i₀, i₁ = min(i₀ + 1, last); columns likewise, with v.
//!   nearest:                      r = ⌊i·h/h′⌋
//!   bilinear:                     r = max((i + ½)·h/h′ − ½, 0)
//!   bilinear with align_corners:  r = i·(h − 1)/(h′ − 1)
//! Backward is the adjoint: each dy is dealt out to its four pixels with the same weights.

use crate::cpu::parallel;
use crate::cpu::pool::scratch;
use crate::cpu::simd::{Isa, Job, Vector};
use crate::device::Device;
use crate::kernel::{GRID, Kernel};
use crate::tensor::Tensor;

static WGSL: [&str; 2] = [GRID, include_str!("../../../shaders/interpolate.wgsl")];
pub(super) static INTERPOLATE: Kernel = Kernel::checked(&WGSL, "interpolate");
pub(super) static INTERPOLATE_GRADIENT: Kernel = Kernel::checked(&WGSL, "interpolate_gradient");

/// Which pixels of the image a pixel of its resized copy is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interpolation {
    /// The one that it falls on.
    Nearest,
    /// The four around it.
    Bilinear {
        /// Whether the corner pixels' centres, rather than their outer corners, stay in place.
        align_corners: bool,
    },
}

/// One row or column of the result: the two of the image that it lies between, and the share of the second.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

impl Interpolation {
    /// Whether every pixel of a row lies a quarter of the way between two, so that no table is needed.
    fn doubles(self, from: usize, to: usize) -> bool {
        to == 2 * from && self == Interpolation::Bilinear { align_corners: false }
    }

    /// The number by which the shader knows it.
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

impl Tensor {
    /// The images resized to `size`, `[height, width]`.
    ///
    /// # Panics
    /// Unless there are four dimensions and both images have pixels.
    #[track_caller]
    pub fn interpolate(&self, size: [usize; 2], how: Interpolation) -> Tensor {
        let [batch, channels, height, width] = self.shape().nchw("interpolate");
        assert!(height * width * size[0] * size[1] > 0, "interpolate: {} to {size:?}", self.shape());
        let to = [batch, channels, size[0], size[1]];
        if let Device::Gpu(_) = self.device() {
            let run = INTERPOLATE.over(to.iter().product()).set("HOW", how.row()).read(self);
            return run.params([batch * channels, height, width, size[0], size[1]]).write(to);
        }
        let (ys, xs) = (&how.along(height, size[0]), &how.along(width, size[1]));
        let (images, isa, doubles) = (self.data(), Isa::current(), how.doubles(width, size[1]));
        Tensor::build(to.into(), |out| {
            parallel::rows(out, size[0] * size[1], |plane, out| {
                let image = &images[plane * height * width..][..height * width];
                scratch(width, |line| isa.vectors(Resize { image, width, ys, xs, doubles, line, out }));
            });
        })
    }

    /// The adjoint of [`interpolate`](Tensor::interpolate) from images of `size`: the gradient of its input.
    ///
    /// # Panics
    /// Unless there are four dimensions and both images have pixels.
    #[track_caller]
    pub fn interpolate_gradient(&self, size: [usize; 2], how: Interpolation) -> Tensor {
        let [batch, channels, height, width] = self.shape().nchw("interpolate_gradient");
        assert!(height * width * size[0] * size[1] > 0, "interpolate_gradient: {} from {size:?}", self.shape());
        let image = [batch, channels, size[0], size[1]];
        if let Device::Gpu(_) = self.device() {
            let run = INTERPOLATE_GRADIENT.over(image.iter().product()).set("HOW", how.row()).read(self);
            return run.params([batch * channels, size[0], size[1], height, width]).write(image);
        }
        let (ys, xs) = (&how.along(size[0], height), &how.along(size[1], width));
        let (dy, isa, doubles) = (self.data(), Isa::current(), how.doubles(size[1], width));
        Tensor::build(image.into(), |dx| {
            parallel::rows(dx, size[0] * size[1], |plane, dx| {
                let dy = &dy[plane * height * width..][..height * width];
                scratch(size[1], |line| isa.vectors(Deal { dy, width: size[1], ys, xs, doubles, line, dx }));
            });
        })
    }
}

/// One image resized: each row of the result is first a row of the image's width, blended from two, then spread out.
struct Resize<'a> {
    image: &'a [f32],
    width: usize,
    ys: &'a [Between],
    xs: &'a [Between],
    doubles: bool,
    line: &'a mut [f32],
    out: &'a mut [f32],
}

impl Job for Resize<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (width, line) = (self.width, &mut self.line[..self.width]);
        for (y, out) in self.ys.iter().zip(self.out.chunks_exact_mut(self.xs.len())) {
            let (a, b) = (&self.image[y.first * width..][..width], &self.image[y.second * width..][..width]);
            for j in 0..width {
                line[j] = (1.0 - y.share) * a[j] + y.share * b[j];
            }
            if self.doubles {
                out[0] = line[0];
                out[2 * width - 1] = line[width - 1];
                let out = &mut out[1..2 * width - 1];
                for j in 0..width - 1 {
                    out[2 * j] = 0.75 * line[j] + 0.25 * line[j + 1];
                    out[2 * j + 1] = 0.25 * line[j] + 0.75 * line[j + 1];
                }
            } else {
                for (x, out) in self.xs.iter().zip(out) {
                    *out = (1.0 - x.share) * line[x.first] + x.share * line[x.second];
                }
            }
        }
    }
}

/// The adjoint of [`Resize`]: each row of gradients is first dealt out along the image's width, then to two of its rows.
struct Deal<'a> {
    dy: &'a [f32],
    width: usize,
    ys: &'a [Between],
    xs: &'a [Between],
    doubles: bool,
    line: &'a mut [f32],
    dx: &'a mut [f32],
}

impl Job for Deal<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let (width, line) = (self.width, &mut self.line[..self.width]);
        self.dx.fill(0.0);
        for (y, dy) in self.ys.iter().zip(self.dy.chunks_exact(self.xs.len())) {
            if self.doubles {
                // The first and last pixels have no neighbour to share their outer half with.
                for j in 0..width {
                    let before = if j > 0 { 0.25 * dy[2 * j - 1] } else { 0.25 * dy[0] };
                    let after = if j < width - 1 { 0.25 * dy[2 * j + 2] } else { 0.25 * dy[2 * j + 1] };
                    line[j] = before + 0.75 * (dy[2 * j] + dy[2 * j + 1]) + after;
                }
            } else {
                line.fill(0.0);
                for (x, dy) in self.xs.iter().zip(dy) {
                    line[x.first] += (1.0 - x.share) * dy;
                    line[x.second] += x.share * dy;
                }
            }
            for (row, share) in [(y.first, 1.0 - y.share), (y.second, y.share)] {
                let dx = &mut self.dx[row * width..][..width];
                for j in 0..width {
                    dx[j] += share * line[j];
                }
            }
        }
    }
}
