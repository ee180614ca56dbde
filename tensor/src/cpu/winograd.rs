//! Winograd's minimal filtering (Lavin and Gray, 1509.09308) for 3 × 3 convolutions of stride 1.
//!
//! A tile of m × m outputs depends on (m + 2)² inputs. Inputs and weights are transformed to values of polynomials at m + 2 points per
//! side, where the convolution is one product per point: (m + 2)² multiplications instead of 9·m². For m = 4 that is 2.25 per output
//! instead of 9, for m = 2 it is 4.
//!
//! ```text
//!   image ──► tiles of (m+2)² pixels ──Bᵀ·d·B──► X̂[point][tile][channel] ─┐
//!                                                                         ├─ Ŷ[point] = X̂[point]·Ŵ[point]
//!   weight 3 × 3 ──────────────────────G·w·Gᵀ──► Ŵ[point][channel][out] ──┘
//!   image ◄── tiles of m² pixels ◄─────Aᵀ·ŷ·A─── Ŷ[point][tile][out]
//! ```
//! The gradient of the weight reverses the steps: Ŵ′[point] = Ŷ′ᵀ·X̂ with Ŷ′ = A·dy·Aᵀ, and dw = Gᵀ·Ŵ′·G.
//!
//! The work is cut in one of two ways. If all of Ŵ and a few images fit a core's cache, a task takes those images through all three
//! steps. If Ŵ is larger, it must be read as rarely as possible: each step is done for the whole batch, and each task of the second
//! step computes one point, or some rows of it. The gradient of the weight is computed in the second way, a few images at a time
//! where Ŵ′ is small. More sums than one would be more tasks too, but each has the size of Ŵ′.
//!
//! `winograd_points.rs` has the transforms of images and weights, `winograd_tile.rs` those of a tile.

use std::ops::Range;

use super::microkernel::{Accumulate, Strides, multiply_tile};
use super::parallel::{DisjointSliceMut, for_each_index};
use super::pool::{CpuBuffer, scratch};
use super::simd::Isa;
use super::window::Window;
use super::winograd_points::{LANES, Order, Planes, Tiles, Tiling, from_points, weight_from_points, weight_to_points};
use super::winograd_tile::Tile;

/// A Ŵ of this size leaves space for images in a core's cache.
const SMALL: usize = 320 * 1024;
/// Enough tasks for 64 cores, where there is as much to do.
const ENOUGH_TASKS: usize = 64;

/// `y = bias + conv(x, w)`: `x[batch, in, input]`, `y[batch, out, output]`; `w[out, in, 3, 3]`, or, for the adjoint,
/// `w[in, out, 3, 3]`, whose kernels are rotated.
pub(crate) fn convolve<T: Tile>(
    x: &[f32],
    w: &[f32],
    adjoint: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
    [cin, cout]: [usize; 2],
    window: Window,
) {
    /// Numbers of X̂ and Ŷ that a task should have in the first way.
    const TASK: usize = 64 * 1024;
    let (isa, tiling) = (Isa::current(), Tiling::of::<T>(window.output));
    let weight = Planes::new(Order::Panels, cin, cout);
    let w = weights::<T>(isa, w, adjoint, [cin, cout], weight);
    let tiles = Tiles::new::<T, false>(x, cin, window.input, tiling, window.padding);
    let y = &DisjointSliceMut::new(y);
    let planes = |images: usize| [cin, cout].map(|c| Planes::new(Order::Rows, images * tiling.count(), c));
    let store = |image, row, ys: &[f32], to| from_points::<T>(isa, (ys, to), [image, row], bias, (y, cout, tiling));

    if weight.count::<T>() <= SMALL {
        let image: usize = planes(1).iter().map(|p| p.count::<T>()).sum();
        let some = (TASK / image).clamp(1, window.batch);
        for_each_index(window.batch.div_ceil(some), &|task| {
            let images = task * some..((task + 1) * some).min(window.batch);
            let [from, to] = planes(images.len());
            let rows = images.len() * tiling.count();
            scratch(from.count::<T>() + to.count::<T>(), |room| {
                let (xs, ys) = room.split_at_mut(from.count::<T>());
                let all = DisjointSliceMut::new(xs);
                for (i, image) in images.clone().enumerate() {
                    tiles.to_points::<T, false>(isa, [image, i * tiling.count()], &all, from);
                }
                for (point, ys) in ys.chunks_exact_mut(to.plane()).enumerate() {
                    multiply(
                        isa,
                        [0..rows, 0..cin],
                        from.of(point, xs),
                        weight.of(point, &w),
                        (ys, to),
                        Accumulate::Overwrite,
                    );
                }
                images.enumerate().for_each(|(i, image)| store(image, i * tiling.count(), ys, to));
            });
        });
        return;
    }
    let [from, to] = planes(window.batch);
    let mut xs = CpuBuffer::take(from.count::<T>());
    let all = DisjointSliceMut::new(&mut xs);
    for_each_index(window.batch, &|image| {
        tiles.to_points::<T, false>(isa, [image, image * tiling.count()], &all, from);
    });
    let mut ys = CpuBuffer::take(to.count::<T>());
    products::<T>(
        isa,
        [window.batch * tiling.count(), cin],
        (&xs, from),
        (&w, weight),
        (&mut ys, to),
        Accumulate::Overwrite,
    );
    for_each_index(window.batch, &|image| store(image, image * tiling.count(), &ys, to));
}

/// `dw[out, in, 3, 3]` from `x[batch, in, input]` and `dy[batch, out, output]`.
pub(crate) fn weight_gradient<T: Tile>(x: &[f32], dy: &[f32], dw: &mut [f32], [cin, cout]: [usize; 2], window: Window) {
    /// Numbers of X̂ and Ŷ′ that are in memory at once for a small Ŵ′, where 8 images do not have more.
    const NUMBERS: usize = 9 << 18;
    /// The images that these are, the least and the most.
    const IMAGES: [usize; 2] = [8, 32];
    let (isa, tiling) = (Isa::current(), Tiling::of::<T>(window.output));
    let x = Tiles::new::<T, false>(x, cin, window.input, tiling, window.padding);
    let dy = Tiles::new::<T, true>(dy, cout, window.output, tiling, 0);
    let product = Planes::new(Order::Rows, cout, cin);
    let planes = |rows: usize| [Planes::new(Order::Columns, rows, cout), Planes::new(Order::Panels, rows, cin)];

    let image: usize = planes(tiling.count()).iter().map(|p| p.count::<T>()).sum();
    let some = if product.count::<T>() <= SMALL { (NUMBERS / image).clamp(IMAGES[0], IMAGES[1]) } else { usize::MAX };
    let together = some.min(window.batch);
    let most = planes(together * tiling.count()).map(Planes::count::<T>);
    let [mut dys, mut xs] = most.map(CpuBuffer::take);
    let mut sums = CpuBuffer::take(product.count::<T>());
    for first in (0..window.batch).step_by(together) {
        let some = together.min(window.batch - first);
        let rows = some * tiling.count();
        let [left, right] = planes(rows);
        let to = [&mut dys, &mut xs].map(|to| DisjointSliceMut::new(to));
        for_each_index(2 * some, &|task| {
            let at = [first + task / 2, task / 2 * tiling.count()];
            match task % 2 {
                0 => dy.to_points::<T, true>(isa, at, &to[0], left),
                _ => x.to_points::<T, false>(isa, at, &to[1], right),
            }
        });
        let accumulate = if first == 0 { Accumulate::Overwrite } else { Accumulate::Add };
        products::<T>(isa, [cout, rows], (&dys, left), (&xs, right), (&mut sums, product), accumulate);
    }
    let dw = DisjointSliceMut::new(dw);
    for_each_index(cout, &|output| weight_from_points::<T>(isa, (&sums, product), output, &dw, cin));
}

/// G·w·Gᵀ of every pair of channels.
fn weights<T: Tile>(isa: Isa, w: &[f32], adjoint: bool, [cin, cout]: [usize; 2], planes: Planes) -> CpuBuffer {
    /// Input channels of one task, the least and the most.
    const SOME: [usize; 2] = [4, 32];
    let mut points = CpuBuffer::take(planes.count::<T>());
    let (to, panels) = (DisjointSliceMut::new(&mut points), planes.panels().collect::<Vec<_>>());
    let some = (panels.len() * cin / ENOUGH_TASKS).clamp(SOME[0], SOME[1]);
    let blocks = cin.div_ceil(some);
    for_each_index(panels.len() * blocks, &|task| {
        let (panel, first) = (panels[task / blocks].clone(), task % blocks * some);
        let mut flat = [0.0; 9 * LANES];
        for input in first..(first + some).min(cin) {
            for v in panel.clone() {
                weight_to_points::<T>(isa, (w, adjoint), [cin, cout], [input, v], &to, planes, &mut flat);
            }
        }
    });
    points
}

/// c = a·b, or c += a·b, at every point, with `rows` rows and sums over `k`.
fn products<T: Tile>(
    isa: Isa,
    [rows, k]: [usize; 2],
    (a, left): (&[f32], Planes),
    (b, right): (&[f32], Planes),
    (c, out): (&mut [f32], Planes),
    accumulate: Accumulate,
) {
    /// The most rows of one task.
    const BLOCK: usize = 120;
    let wanted = ENOUGH_TASKS.div_ceil(T::IN * T::IN);
    let whole = left.whole();
    let some = rows.div_ceil(wanted).next_multiple_of(whole).min(BLOCK / whole * whole);
    let (blocks, c) = (rows.div_ceil(some), DisjointSliceMut::new(c));
    for_each_index(T::IN * T::IN * blocks, &|task| {
        let (point, first) = (task / blocks, task % blocks * some);
        let block = first..(first + some).min(rows);
        let (start, width) = (point * out.plane(), out.width());
        // SAFETY: no two tasks have rows in common. The last tile may reach past `rows`, since planes are rounded up.
        let c = unsafe { c.part(start + first * width..start + block.end.next_multiple_of(8) * width) };
        multiply(isa, [block, 0..k], left.of(point, a), right.of(point, b), (c, out), accumulate);
    });
}

/// c = a·b, or c += a·b, at one point, for some rows of a plane. The first of these is the first row of `c`.
fn multiply(
    isa: Isa,
    [rows, ks]: [Range<usize>; 2],
    (a, left): (&[f32], Planes),
    (b, right): (&[f32], Planes),
    (c, out): (&mut [f32], Planes),
    accumulate: Accumulate,
) {
    let tile = isa.tile();
    let [a_row, a_k] = left.strides();
    for panel in right.panels() {
        let columns = panel.len() * LANES;
        let b = &b[panel.start * LANES * ks.len()..];
        let mut row = rows.start;
        while row < rows.end {
            let some = (rows.end - row).min(tile.rows).min(left.adjacent(row));
            let a = &a[left.row(row)..];
            let c = &mut c[(row - rows.start) * out.width() + panel.start * LANES..];
            // The widest registers need one tile, narrower ones several.
            for column in (0..columns).step_by(tile.cols) {
                let size = [some, (columns - column).min(tile.cols) / tile.lanes];
                let strides = Strides { a_row, a_k, b_k: columns, c_row: out.width() };
                multiply_tile(isa, size, ks.len(), a, &b[column..], &mut c[column..], strides, accumulate);
            }
            row += some;
        }
    }
}
