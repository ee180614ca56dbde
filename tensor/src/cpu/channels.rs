//! What batch normalisation does to each channel; the formulas stand at the top of `ops/batch_norm.rs`.
//!
//! A channel's numbers are one plane an image, far apart but each whole; a channel is one task, and passes over it three times
//! (sum, squares, result), the second and third from the cache.

use std::ops::Range;

use super::parallel::Disjoint;
use super::simd::{Job, Vector};
use crate::ops::batch_norm::Act;

/// Where the numbers of a channel lie in `[batch, channels, height, width]`: one plane an image.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
}

impl Channels {
    /// Numbers of one channel.
    pub(crate) fn count(self) -> usize {
        self.batch * self.plane
    }

    #[inline(always)]
    pub(crate) fn plane(self, image: usize, channel: usize) -> Range<usize> {
        let start = (image * self.channels + channel) * self.plane;
        start..start + self.plane
    }
}

/// μ, 1/√(σ² + ε) and w of one channel.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) mean: f32,
    pub(crate) invstd: f32,
    pub(crate) weight: f32,
}

/// Mean and variance of a channel.
pub(crate) struct Moments<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) channels: Channels,
    pub(crate) c: usize,
    pub(crate) out: &'a mut [f32; 2],
}

impl Job for Moments<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let count = self.channels.count() as f64;
        let mut sum = 0.0;
        for n in 0..self.channels.batch {
            let x = &self.x[self.channels.plane(n, self.c)];
            sum += sum_of(x, x, |x, _| x);
        }
        let mean = (sum / count) as f32;
        let mut squares = 0.0;
        for n in 0..self.channels.batch {
            let x = &self.x[self.channels.plane(n, self.c)];
            squares += sum_of(x, x, |x, _| (x - mean) * (x - mean));
        }
        *self.out = [mean, (squares / count) as f32];
    }
}

/// y of a channel.
pub(crate) struct Normalise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) y: &'a Disjoint<'a>,
    pub(crate) channels: Channels,
    pub(crate) c: usize,
    pub(crate) numbers: Numbers,
    pub(crate) bias: f32,
    pub(crate) act: Act,
}

impl Job for Normalise<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Numbers { mean, invstd, weight } = self.numbers;
        let (scale, bias, act) = (weight * invstd, self.bias, self.act);
        for n in 0..self.channels.batch {
            let at = self.channels.plane(n, self.c);
            // SAFETY: each job has a channel of its own.
            let y = unsafe { self.y.part(at.clone()) };
            let x = &self.x[at.clone()];
            match self.residual {
                None => {
                    for i in 0..y.len() {
                        y[i] = act.apply((x[i] - mean) * scale + bias);
                    }
                }
                Some(residual) => {
                    let r = &residual[at];
                    for i in 0..y.len() {
                        y[i] = act.apply((x[i] - mean) * scale + bias + r[i]);
                    }
                }
            }
        }
    }
}

/// dx of a channel, and its dw and db.
pub(crate) struct Gradient<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) g: &'a [f32],
    pub(crate) dx: &'a Disjoint<'a>,
    pub(crate) channels: Channels,
    pub(crate) c: usize,
    pub(crate) numbers: Numbers,
    pub(crate) of_batch: bool,
    pub(crate) sums: &'a mut [f32; 2],
}

impl Job for Gradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Numbers { mean, invstd, weight } = self.numbers;
        let (mut db, mut dw) = (0.0, 0.0);
        for n in 0..self.channels.batch {
            let at = self.channels.plane(n, self.c);
            let (g, x) = (&self.g[at.clone()], &self.x[at]);
            db += sum_of(g, g, |g, _| g);
            dw += sum_of(g, x, |g, x| g * (x - mean));
        }
        dw *= f64::from(invstd);
        *self.sums = [dw as f32, db as f32];
        let count = self.channels.count() as f64;
        let (mean_g, slope) = match self.of_batch {
            true => ((db / count) as f32, (dw / count) as f32 * invstd),
            false => (0.0, 0.0),
        };
        let scale = weight * invstd;
        for n in 0..self.channels.batch {
            let at = self.channels.plane(n, self.c);
            // SAFETY: each job has a channel of its own.
            let dx = unsafe { self.dx.part(at.clone()) };
            let (g, x) = (&self.g[at.clone()], &self.x[at]);
            for i in 0..dx.len() {
                dx[i] = scale * (g[i] - mean_g - (x[i] - mean) * slope);
            }
        }
    }
}

/// Σ f(aᵢ, bᵢ): eight f64 sums side by side, so that additions need not wait for each other.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut sums = [0.0f64; 8];
    let whole = a.len() / 8 * 8;
    let b = &b[..a.len()];
    for start in (0..whole).step_by(8) {
        for i in 0..8 {
            sums[i] += f64::from(f(a[start + i], b[start + i]));
        }
    }
    let mut sum = 0.0;
    for part in sums {
        sum += part;
    }
    for i in whole..a.len() {
        sum += f64::from(f(a[i], b[i]));
    }
    sum
}
