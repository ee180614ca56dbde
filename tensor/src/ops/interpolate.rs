//! Resizing images, [batch, channels, height, width] → [batch, channels, new height, new width]:
//!   y[i, j] = (1 − u)·((1 − v)·x[i₀, j₀] + v·x[i₀, j₁]) + u·((1 − v)·x[i₁, j₀] + v·x[i₁, j₁])
//! Row i of y lies at the fractional row r of x, i₀ = ⌊r⌋, u = r − i₀, i₁ = min(i₀ + 1, last); columns likewise, with v.
//!   nearest:                      r = ⌊i·h/h′⌋
//!   bilinear:                     r = max((i + ½)·h/h′ − ½, 0)
//!   bilinear with align_corners:  r = i·(h − 1)/(h′ − 1)
//! Backward is the adjoint: each dy is dealt out to its four pixels with the same weights.

use crate::cpu::parallel;
use crate::tensor::Tensor;

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
        let (ys, xs) = (how.along(height, size[0]), how.along(width, size[1]));
        let x = self.data();
        Tensor::build([batch, channels, size[0], size[1]].into(), |out| {
            parallel::rows(out, size[0] * size[1], |plane, out| {
                let image = &x[plane * height * width..][..height * width];
                let mut line = vec![0.0; width]; // the image between two of its rows
                for (y, out) in ys.iter().zip(out.chunks_mut(size[1])) {
                    let (a, b) = (&image[y.first * width..][..width], &image[y.second * width..][..width]);
                    line.iter_mut().zip(a.iter().zip(b)).for_each(|(l, (a, b))| *l = (1.0 - y.share) * a + y.share * b);
                    for (x, out) in xs.iter().zip(out) {
                        *out = (1.0 - x.share) * line[x.first] + x.share * line[x.second];
                    }
                }
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
        let (ys, xs) = (how.along(size[0], height), how.along(size[1], width));
        let dy = self.data();
        Tensor::build([batch, channels, size[0], size[1]].into(), |dx| {
            parallel::rows(dx, size[0] * size[1], |plane, dx| {
                let dy = &dy[plane * height * width..][..height * width];
                let mut line = vec![0.0; size[1]];
                dx.fill(0.0);
                for (y, dy) in ys.iter().zip(dy.chunks(width)) {
                    line.fill(0.0);
                    for (x, dy) in xs.iter().zip(dy) {
                        line[x.first] += (1.0 - x.share) * dy;
                        line[x.second] += x.share * dy;
                    }
                    for (row, share) in [(y.first, 1.0 - y.share), (y.second, y.share)] {
                        let dx = &mut dx[row * size[1]..][..size[1]];
                        dx.iter_mut().zip(&line).for_each(|(dx, l)| *dx += share * l);
                    }
                }
            });
        })
    }
}
