//! Batch normalisation of neighbouring channels; `ops/batch_norm.rs` begins with the formulas.
//!
//! The numbers of a channel are one contiguous plane per image, and neighbouring channels have neighbouring planes. A task has all
//! numbers of some neighbouring channels, its block. It reads them from memory once; a second read comes from a cache.
//!
//! The numbers at one place of all images are added up first, all places of a plane side by side, and the places of a channel at the
//! end. So additions do not wait for each other, however small a plane is, and a channel's sums do not depend on its block.

use std::ops::Range;

use super::parallel::DisjointSliceMut;
use super::simd::{SimdKernel, Vector};
use super::sums::{at, sum};
use crate::act::Act;

/// The most places that are added up side by side. Their sums and constants stay in the first-level cache.
const PLACES: usize = 1024;

/// The least places of a task, so that a vector is full where planes are small.
const FEW_PLACES: usize = 64;

/// Images whose numbers are added in f32. Longer sums add these in f64.
const IMAGES: usize = 64;

/// Tasks of a layer with enough channels.
const TASKS: usize = 32;

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

    /// The number of channels in a block.
    pub(crate) fn of_block(self) -> usize {
        let (least, most) = (FEW_PLACES.div_ceil(self.plane.max(1)), (PLACES / self.plane.max(1)).max(1));
        (self.channels / TASKS).clamp(least, most)
    }

    /// The i-th block. The last one may have fewer channels.
    pub(crate) fn block(self, i: usize) -> Block {
        let first = i * self.of_block();
        Block { all: self, first, count: self.of_block().min(self.channels - first) }
    }
}

/// Neighbouring channels.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    all: Channels,
    first: usize,
    count: usize,
}

impl Block {
    /// Its channels.
    pub(crate) fn channels(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// The block's numbers of one image in parts of at most [`PLACES`]. There is one part, or all parts are of one channel.
    #[inline(always)]
    fn parts(self) -> usize {
        (self.count * self.all.plane).div_ceil(PLACES)
    }

    /// The number of places in a part.
    #[inline(always)]
    fn places(self, part: usize) -> usize {
        PLACES.min(self.count * self.all.plane - part * PLACES)
    }

    /// A part's numbers of one image.
    #[inline(always)]
    fn range(self, image: usize, part: usize) -> Range<usize> {
        let start = (image * self.all.channels + self.first) * self.all.plane + part * PLACES;
        start..start + self.places(part)
    }

    /// Writes a number of each channel to each place of its plane, and returns the places of the part.
    #[inline(always)]
    fn spread(self, part: usize, of_channel: impl Fn(usize) -> f32, to: &mut [f32; PLACES]) -> &[f32] {
        let to = &mut to[..self.places(part)];
        for (c, places) in to.chunks_mut(self.all.plane).enumerate() {
            places.fill(of_channel(c));
        }
        to
    }

    /// The two sums Σ f(aᵢ, bᵢ, …, center) over all numbers of each channel, where `center` is a number of the channel.
    #[inline(always)]
    fn sums<V: Vector, const K: usize>(
        self,
        tensors: [&[f32]; K],
        center: impl Fn(usize) -> f32,
        f: impl Fn([f32; K], f32) -> [f32; 2],
    ) -> Vec<[f64; 2]> {
        let mut totals = vec![[0.0; 2]; self.count];
        let [mut centers, mut first, mut second] = [[0.0; PLACES]; 3];
        for part in 0..self.parts() {
            let centers = self.spread(part, &center, &mut centers);
            for start in (0..self.all.batch).step_by(IMAGES) {
                let (first, second) = (&mut first[..centers.len()], &mut second[..centers.len()]);
                first.fill(0.0);
                second.fill(0.0);
                for image in start..self.all.batch.min(start + IMAGES) {
                    let tensors = tensors.map(|tensor| &tensor[self.range(image, part)]);
                    add_terms(tensors, centers, first, second, &f);
                }
                let planes = first.chunks(self.all.plane).zip(second.chunks(self.all.plane));
                for (total, (first, second)) in totals.iter_mut().zip(planes) {
                    let a = sum::<V>(first);
                    let b = sum::<V>(second);
                    *total = [total[0] + a, total[1] + b];
                }
            }
        }
        totals
    }
}

/// Adds the two numbers of f(aᵢ, bᵢ, …, centerᵢ) to the i-th of two sums. The sums are two parameters, because then the compiler knows
/// that writing one of them changes nothing else.
#[inline(always)]
fn add_terms<const K: usize>(
    tensors: [&[f32]; K],
    centers: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    f: impl Fn([f32; K], f32) -> [f32; 2],
) {
    let places = centers.len();
    let (tensors, first, second) =
        (tensors.map(|tensor| &tensor[..places]), &mut first[..places], &mut second[..places]);
    for i in 0..places {
        let [a, b] = f(at(&tensors, i), centers[i]);
        first[i] += a;
        second[i] += b;
    }
}

/// μ, 1/√(σ² + ε) and w of one channel.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) mean: f32,
    pub(crate) invstd: f32,
    pub(crate) weight: f32,
}

/// Mean and variance of each channel of a block.
pub(crate) struct Moments<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) block: Block,
    pub(crate) out: &'a mut [[f32; 2]],
}

impl SimdKernel for Moments<'_> {
    /// One pass over the deviations from k, the mean of the channel's first plane:
    /// μ = k + Σ (x − k)/M,   σ² = (Σ (x − k)² − (Σ (x − k))²/M)/M. There is little cancellation, since k is near μ.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Moments { x, block, out } = self;
        let plane = block.all.plane;
        for (c, out) in out.iter_mut().enumerate() {
            let sum = sum::<V>(&x[(block.first + c) * plane..][..plane]);
            out[0] = (sum / plane as f64) as f32;
        }
        let sums = block.sums::<V, _>([x], |c| out[c][0], |[x], near| [x - near, (x - near) * (x - near)]);
        let count = block.all.count() as f64;
        for (out, [sum, squares]) in out.iter_mut().zip(sums) {
            let var = ((squares - sum * sum / count) / count).max(0.0);
            *out = [(f64::from(out[0]) + sum / count) as f32, var as f32];
        }
    }
}

/// y of a block.
pub(crate) struct Normalise<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) y: &'a DisjointSliceMut<'a>,
    pub(crate) block: Block,
    /// Of each channel of the block.
    pub(crate) numbers: &'a [Numbers],
    /// The same.
    pub(crate) bias: &'a [f32],
    pub(crate) act: Act,
}

impl SimdKernel for Normalise<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.act {
            Act::Identity => self.activated(|x| x),
            Act::Relu => self.activated(|x| Act::Relu.apply(x)),
            Act::LeakyRelu(slope) => self.activated(|x| Act::LeakyRelu(slope).apply(x)),
        }
    }
}

impl Normalise<'_> {
    #[inline(always)]
    fn activated(self, act: impl Fn(f32) -> f32) {
        let Normalise { block, numbers, .. } = self;
        let [mut mean, mut scale, mut bias] = [[0.0; PLACES]; 3];
        for part in 0..block.parts() {
            let mean = block.spread(part, |c| numbers[c].mean, &mut mean);
            let scale = block.spread(part, |c| numbers[c].weight * numbers[c].invstd, &mut scale);
            let bias = block.spread(part, |c| self.bias[c], &mut bias);
            for image in 0..block.all.batch {
                let range = block.range(image, part);
                // SAFETY: no two tasks have the same channel.
                let y = unsafe { self.y.part(range.clone()) };
                let x = &self.x[range.clone()];
                let (mean, scale, bias) = (&mean[..y.len()], &scale[..y.len()], &bias[..y.len()]);
                match self.residual {
                    None => {
                        for i in 0..y.len() {
                            y[i] = act((x[i] - mean[i]) * scale[i] + bias[i]);
                        }
                    }
                    Some(residual) => {
                        let r = &residual[range];
                        for i in 0..y.len() {
                            y[i] = act((x[i] - mean[i]) * scale[i] + bias[i] + r[i]);
                        }
                    }
                }
            }
        }
    }
}

/// dx, dw and db of a block, and g = dy·act′ if the residual needs it.
pub(crate) struct Gradient<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a [f32],
    pub(crate) dy: &'a [f32],
    pub(crate) dx: &'a DisjointSliceMut<'a>,
    pub(crate) g: Option<&'a DisjointSliceMut<'a>>,
    pub(crate) block: Block,
    /// Of each channel of the block.
    pub(crate) numbers: &'a [Numbers],
    /// act′ where y ≤ 0. It is 1 elsewhere.
    pub(crate) slope: f32,
    pub(crate) of_batch: bool,
    /// dw and db of each channel of the block.
    pub(crate) sums: &'a mut [[f32; 2]],
}

impl SimdKernel for Gradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Gradient { block, numbers, .. } = self;
        let below = self.slope;
        let g_of = |dy: f32, y: f32| dy * if y > 0.0 { 1.0 } else { below };
        let mut sums = block.sums::<V, _>(
            [self.dy, self.y, self.x],
            |c| numbers[c].mean,
            |[dy, y, x], mean| {
                let g = g_of(dy, y);
                [g, g * (x - mean)]
            },
        );
        for (c, [db, dw]) in sums.iter_mut().enumerate() {
            *dw *= f64::from(numbers[c].invstd);
            self.sums[c] = [*dw as f32, *db as f32];
        }
        let count = block.all.count() as f64;
        // The shares of μ and σ² in dx: a number for each channel, and one that multiplies its deviations.
        let share = |c: usize| match (self.of_batch, sums[c]) {
            (true, [db, dw]) => [(db / count) as f32, (dw / count) as f32 * numbers[c].invstd],
            (false, _) => [0.0, 0.0],
        };
        let [mut mean, mut scale, mut mean_g, mut slope] = [[0.0; PLACES]; 4];
        for part in 0..block.parts() {
            let mean = block.spread(part, |c| numbers[c].mean, &mut mean);
            let scale = block.spread(part, |c| numbers[c].weight * numbers[c].invstd, &mut scale);
            let mean_g = block.spread(part, |c| share(c)[0], &mut mean_g);
            let slope = block.spread(part, |c| share(c)[1], &mut slope);
            for image in 0..block.all.batch {
                let range = block.range(image, part);
                let (dy, y, x) = (&self.dy[range.clone()], &self.y[range.clone()], &self.x[range.clone()]);
                if let Some(kept) = self.g {
                    // SAFETY: no two tasks have the same channel.
                    let kept = unsafe { kept.part(range.clone()) };
                    for i in 0..kept.len() {
                        kept[i] = g_of(dy[i], y[i]);
                    }
                }
                // SAFETY: as above.
                let dx = unsafe { self.dx.part(range) };
                let (mean, scale) = (&mean[..dx.len()], &scale[..dx.len()]);
                let (mean_g, slope) = (&mean_g[..dx.len()], &slope[..dx.len()]);
                for i in 0..dx.len() {
                    dx[i] = scale[i] * (g_of(dy[i], y[i]) - mean_g[i] - (x[i] - mean[i]) * slope[i]);
                }
            }
        }
    }
}
