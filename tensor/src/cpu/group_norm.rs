//! Group normalisation; `ops/group_norm.rs` begins with the formulas.
//!
//! The numbers of a group are contiguous: a plane for each channel, or a single number in a layer norm. A task reads them from memory
//! once; a second read comes from the cache.

use super::parallel::{DisjointSliceMut, ENOUGH_TASKS, dispatch_rows, map};
use super::simd::{Isa, SimdKernel, Vector};
use super::sums::{Terms, sum, sums_of};

/// Numbers that are added in f32. Longer sums add these in f64.
const PIECE: usize = 4096;

/// How `[batch, channels, …]` is divided into groups.
#[derive(Clone, Copy)]
pub(crate) struct Groups {
    pub(crate) batch: usize,
    pub(crate) channels: usize,
    pub(crate) groups: usize,
    pub(crate) plane: usize,
}

impl Groups {
    /// The channels of a group.
    fn each(self) -> usize {
        self.channels / self.groups
    }

    /// The numbers of a group of one image.
    fn row(self) -> usize {
        self.each() * self.plane
    }
}

/// y, and the mean and 1/√(σ² + ε) of each group, `[batch, groups, 2]`.
pub(crate) fn forward(x: &[f32], affine: [&[f32]; 2], eps: f32, y: &mut [f32], stats: &mut [f32], sizes: Groups) {
    let (row, each, isa) = (sizes.row(), sizes.each(), Isa::current());
    let y = DisjointSliceMut::new(y);
    dispatch_rows(stats, 2, row, &|i, stats| {
        let (at, group) = (i * row..(i + 1) * row, i % sizes.groups);
        // SAFETY: no two tasks have the same row.
        let y = unsafe { y.part(at.clone()) };
        let [weight, bias] = affine.map(|affine| &affine[group * each..][..each]);
        isa.dispatch(NormaliseGroup { x: &x[at], weight, bias, eps, y, stats });
    });
}

/// dx, and the sums over images and places of dy·x̂ and of dy of each channel.
pub(crate) fn gradient(
    [x, dy]: [&[f32]; 2],
    weight: &[f32],
    stats: &[f32],
    dx: &mut [f32],
    sizes: Groups,
) -> [Vec<f32>; 2] {
    let Groups { batch, channels, groups, .. } = sizes;
    let (row, each, isa) = (sizes.row(), sizes.each(), Isa::current());
    // A task has one group of some images. Its sums are added in order.
    let parts = (ENOUGH_TASKS / groups).clamp(1, batch);
    let dx = DisjointSliceMut::new(dx);
    let sums: Vec<[Vec<f64>; 2]> = map(parts * groups, |task| {
        let (part, group) = (task / groups, task % groups);
        let mut sums = [vec![0.0; each], vec![0.0; each]];
        for image in part * batch / parts..(part + 1) * batch / parts {
            let i = image * groups + group;
            let at = i * row..(i + 1) * row;
            // SAFETY: no two tasks have the same image and group.
            let dx = unsafe { dx.part(at.clone()) };
            let (x, dy, weight) = (&x[at.clone()], &dy[at], &weight[group * each..][..each]);
            let (stats, sums) = ([stats[2 * i], stats[2 * i + 1]], sums.each_mut().map(|sums| &mut sums[..]));
            isa.dispatch(GroupGradient { x, dy, weight, stats, dx, sums });
        }
        sums
    });
    let total = |i: usize, channel: usize| {
        let parts = sums.iter().skip(channel / each).step_by(groups);
        parts.map(|sums| sums[i][channel % each]).sum::<f64>() as f32
    };
    [0, 1].map(|i| (0..channels).map(|channel| total(i, channel)).collect())
}

/// y of a group, with its mean and 1/√(σ² + ε).
struct NormaliseGroup<'a> {
    x: &'a [f32],
    weight: &'a [f32], // of the group's channels
    bias: &'a [f32],
    eps: f32,
    y: &'a mut [f32],
    stats: &'a mut [f32],
}

impl SimdKernel for NormaliseGroup<'_> {
    /// Sums deviations from k, the mean of the first piece:  μ = k + Σ (x − k)/M,   σ² = (Σ (x − k)² − (Σ (x − k))²/M)/M.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let NormaliseGroup { x, weight, bias, eps, y, stats } = self;
        let first = &x[..x.len().min(PIECE)];
        let sum = sum::<V>(first);
        let near = (sum / first.len() as f64) as f32;
        let [mut sum, mut squares] = [0.0; 2];
        for x in x.chunks(PIECE) {
            let [s, q] = sums_of::<V, 1, 2>([x], Deviations { near });
            (sum, squares) = (sum + s, squares + q);
        }
        let count = x.len() as f64;
        let var = ((squares - sum * sum / count) / count).max(0.0);
        let mean = (f64::from(near) + sum / count) as f32;
        let invstd = 1.0 / (var as f32 + eps).sqrt();
        stats.copy_from_slice(&[mean, invstd]);

        let plane = x.len() / weight.len();
        if plane == 1 {
            let [x, weight, bias] = [x, weight, bias].map(|numbers| &numbers[..y.len()]);
            for i in 0..y.len() {
                y[i] = (x[i] - mean) * invstd * weight[i] + bias[i];
            }
            return;
        }
        let planes = x.chunks_exact(plane).zip(y.chunks_exact_mut(plane));
        for ((x, y), (weight, bias)) in planes.zip(weight.iter().zip(bias)) {
            let scale = weight * invstd;
            y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * scale + bias);
        }
    }
}

/// Σ (x − near) and Σ (x − near)².
struct Deviations {
    near: f32,
}

impl Terms<1, 2> for Deviations {
    #[inline(always)]
    fn add<V: Vector>(&self, [sum, squares]: [V; 2], [x]: [V; 1]) -> [V; 2] {
        let d = x.sub(V::splat(self.near));
        [sum.add(d), squares.add_product(d, d)]
    }
}

/// Σ g and Σ g·(x − mean), for g = dy or g = w·dy.
struct Products {
    mean: f32,
}

impl Terms<2, 2> for Products {
    #[inline(always)]
    fn add<V: Vector>(&self, [sum, products]: [V; 2], [x, g]: [V; 2]) -> [V; 2] {
        [sum.add(g), products.add_product(g, x.sub(V::splat(self.mean)))]
    }
}

impl Terms<3, 2> for Products {
    #[inline(always)]
    fn add<V: Vector>(&self, sums: [V; 2], [x, dy, w]: [V; 3]) -> [V; 2] {
        self.add(sums, [x, w.mul(dy)])
    }
}

/// dx of a group. Adds Σ dy·x̂ and Σ dy of each channel to `sums`.
struct GroupGradient<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    weight: &'a [f32],
    stats: [f32; 2],
    dx: &'a mut [f32],
    sums: [&'a mut [f64]; 2],
}

impl SimdKernel for GroupGradient<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let GroupGradient { x, dy, weight, stats: [mean, invstd], dx, sums: [dweight, dbias] } = self;
        let plane = x.len() / weight.len();
        let [mut of_g, mut of_gx] = [0.0; 2]; // Σ g and Σ g·(x − μ) for g = w·dy
        if plane == 1 {
            let pieces = x.chunks(PIECE).zip(dy.chunks(PIECE)).zip(weight.chunks(PIECE));
            for ((x, dy), weight) in pieces {
                let [g, gx] = sums_of::<V, 3, 2>([x, dy, weight], Products { mean });
                (of_g, of_gx) = (of_g + g, of_gx + gx);
            }
            for (((x, dy), dweight), dbias) in x.iter().zip(dy).zip(dweight).zip(dbias) {
                *dweight += f64::from(dy * ((x - mean) * invstd));
                *dbias += f64::from(*dy);
            }
        } else {
            let planes = x.chunks_exact(plane).zip(dy.chunks_exact(plane));
            for (((x, dy), &weight), (dweight, dbias)) in planes.zip(weight).zip(dweight.iter_mut().zip(dbias)) {
                let [mut b, mut w] = [0.0; 2];
                for (x, dy) in x.chunks(PIECE).zip(dy.chunks(PIECE)) {
                    let [of_dy, of_dyx] = sums_of::<V, 2, 2>([x, dy], Products { mean });
                    (b, w) = (b + of_dy, w + of_dyx);
                }
                *dbias += b;
                *dweight += w * f64::from(invstd);
                (of_g, of_gx) = (of_g + f64::from(weight) * b, of_gx + f64::from(weight) * w);
            }
        }
        let count = x.len() as f64;
        let mean_g = (of_g / count) as f32;
        let slope = (of_gx / count) as f32 * invstd * invstd;
        let of = |x: f32, dy: f32, w: f32| invstd * (w * dy - mean_g - (x - mean) * slope);
        if plane == 1 {
            let (x, dy, weight) = (&x[..dx.len()], &dy[..dx.len()], &weight[..dx.len()]);
            for i in 0..dx.len() {
                dx[i] = of(x[i], dy[i], weight[i]);
            }
            return;
        }
        let planes = x.chunks_exact(plane).zip(dy.chunks_exact(plane)).zip(dx.chunks_exact_mut(plane));
        for (((x, dy), dx), &w) in planes.zip(weight) {
            dx.iter_mut().zip(x.iter().zip(dy)).for_each(|(dx, (&x, &dy))| *dx = of(x, dy, w));
        }
    }
}
