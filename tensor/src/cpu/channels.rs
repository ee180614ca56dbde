//! Batch normalisation of one channel; `ops/batch_norm.rs` begins with the formulas.
//!
//! The numbers of a channel are one contiguous plane per image. A task processes one channel. It reads the planes from memory once;
//! a second read comes from the cache.

use std::ops::Range;

use super::parallel::DisjointSliceMut;
use super::simd::{SimdKernel, Vector};
use crate::act::Act;

/// Finds the numbers of a channel in `[batch, channels, height, width]`: one plane per image.
#[derive(Clone, Copy)]
pub(crate) struct Channels {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) plane: usize,
}

impl Channels {
    /// The count of a channel's numbers.
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

impl SimdKernel for Moments<'_> {
    /// One pass over the deviations from k, the mean of the channel's first plane:
    /// μ = k + Σ (x − k)/M,   σ² = (Σ (x − k)² − (Σ (x − k))²/M)/M. There is little cancellation, since k is near μ.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Channels { batch, plane, .. } = self.channels;
        let first = &self.x[self.channels.plane(0, self.c)];
        let [sum] = sums_of([first], |[x]| [x]);
        let near = (sum / plane as f64) as f32;
        let (mut sum, mut squares) = (0.0, 0.0);
        for n in 0..batch {
            let x = &self.x[self.channels.plane(n, self.c)];
            let [s, q] = sums_of([x], |[x]| [x - near, (x - near) * (x - near)]);
            (sum, squares) = (sum + s, squares + q);
        }
        let count = self.channels.count() as f64;
        let var = ((squares - sum * sum / count) / count).max(0.0);
        *self.out = [(f64::from(near) + sum / count) as f32, var as f32];
    }
}

/// y of a channel.
pub(crate) struct Normalise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) y: &'a DisjointSliceMut<'a>,
    pub(crate) channels: Channels,
    pub(crate) c: usize,
    pub(crate) numbers: Numbers,
    pub(crate) bias: f32,
    pub(crate) act: Act,
}

impl SimdKernel for Normalise<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Numbers { mean, invstd, weight } = self.numbers;
        let (scale, bias, act) = (weight * invstd, self.bias, self.act);
        for n in 0..self.channels.batch {
            let at = self.channels.plane(n, self.c);
            // SAFETY: no two tasks have the same channel.
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

/// dx, dw and db of a channel, and g = dy·act′ if the residual needs it.
pub(crate) struct Gradient<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
    pub(crate) dy: &'a [f32],
    pub(crate) dx: &'a DisjointSliceMut<'a>,
    pub(crate) g: Option<&'a DisjointSliceMut<'a>>,
    pub(crate) channels: Channels,
    pub(crate) c: usize,
    pub(crate) numbers: Numbers,
    /// act′ where y ≤ 0. It is 1 elsewhere.
    pub(crate) slope: f32,
    pub(crate) of_batch: bool,
    pub(crate) sums: &'a mut [f32; 2],
}

impl SimdKernel for Gradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Numbers { mean, invstd, weight } = self.numbers;
        let below = self.slope;
        let g_of = |dy: f32, y: f32| dy * if y > 0.0 { 1.0 } else { below };
        let (mut db, mut dw) = (0.0, 0.0);
        for n in 0..self.channels.batch {
            let at = self.channels.plane(n, self.c);
            let (dy, y, x) = (&self.dy[at.clone()], &self.y[at.clone()], &self.x[at.clone()]);
            let [b, w] = sums_of([dy, y, x], |[dy, y, x]| {
                let g = g_of(dy, y);
                [g, g * (x - mean)]
            });
            (db, dw) = (db + b, dw + w);
            if let Some(kept) = self.g {
                // SAFETY: no two tasks have the same channel.
                let kept = unsafe { kept.part(at) };
                for i in 0..kept.len() {
                    kept[i] = g_of(dy[i], y[i]);
                }
            }
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
            // SAFETY: as above.
            let dx = unsafe { self.dx.part(at.clone()) };
            let (dy, y, x) = (&self.dy[at.clone()], &self.y[at.clone()], &self.x[at]);
            for i in 0..dx.len() {
                dx[i] = scale * (g_of(dy[i], y[i]) - mean_g - (x[i] - mean) * slope);
            }
        }
    }
}

/// N sums Σ f(aᵢ, bᵢ, …) over planes. Each is accumulated in several independent f32 sums, more of them for longer planes.
#[inline(always)]
pub(super) fn sums_of<const K: usize, const N: usize>(
    planes: [&[f32]; K],
    f: impl Fn([f32; K]) -> [f32; N],
) -> [f64; N] {
    match planes[0].len() {
        32.. => side_by_side::<32, K, N>(planes, f),
        16.. => side_by_side::<16, K, N>(planes, f),
        _ => side_by_side::<1, K, N>(planes, f),
    }
}

#[inline(always)]
fn side_by_side<const SIDE: usize, const K: usize, const N: usize>(
    mut planes: [&[f32]; K],
    f: impl Fn([f32; K]) -> [f32; N],
) -> [f64; N] {
    let mut sums = [[0.0f32; SIDE]; N];
    let len = planes[0].len();
    for k in 1..K {
        planes[k] = &planes[k][..len];
    }
    let whole = len / SIDE * SIDE;
    for start in (0..whole).step_by(SIDE) {
        for i in 0..SIDE {
            let terms = f(at(&planes, start + i));
            for n in 0..N {
                sums[n][i] += terms[n];
            }
        }
    }
    for i in whole..len {
        let terms = f(at(&planes, i));
        for n in 0..N {
            sums[n][0] += terms[n];
        }
    }
    let mut half = SIDE / 2;
    while half > 0 {
        for n in 0..N {
            for i in 0..half {
                sums[n][i] += sums[n][i + half];
            }
        }
        half /= 2;
    }
    let mut results = [0.0; N];
    for n in 0..N {
        results[n] = f64::from(sums[n][0]);
    }
    results
}

/// The i-th number of each plane. (With `map` instead of loops, these sums took a seventh of the crate's time to compile.)
#[inline(always)]
fn at<const K: usize>(planes: &[&[f32]; K], i: usize) -> [f32; K] {
    let mut numbers = [0.0; K];
    for k in 0..K {
        numbers[k] = planes[k][i];
    }
    numbers
}

/// Σ f(aᵢ, bᵢ), accumulated in eight independent f64 sums, so that additions do not wait for each other.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut sums = [0.0f64; 8];
    let whole = a.len() / 8 * 8;
    let b = &b[..a.len()];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for i in 0..8 {
            sums[i] += f64::from(f(a[i], b[i]));
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
