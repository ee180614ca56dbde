//! Winograd's minimal filtering (Lavin and Gray, 1509.09308) for 3 × 3 convolutions of stride 1, and for kernels up to 4 × 4 of stride 2.
//!
//! A tile of m × m outputs of an r × r kernel depends on n² inputs, n = m + r − 1. Inputs and weights are transformed to values of
//! polynomials at n points per side, where the convolution is one product per point: n² multiplications instead of r²·m². For 3 × 3
//! weights and m = 4 that is 2.25 per output instead of 9, for m = 2 it is 4.
//!
//! ```text
//!   image ──► tiles of n² pixels ──Bᵀ·d·B──► X̂[point][tile][channel] ─┐
//!                                                                     ├─ Ŷ[point] = X̂[point]·Ŵ[point]
//!   weight r × r ──────────────────G·w·Gᵀ──► Ŵ[point][channel][out] ──┘
//!   image ◄── tiles of m² pixels ◄─Aᵀ·ŷ·A─── Ŷ[point][tile][out]
//! ```
//! The gradient of the weight reverses the steps: Ŵ′[point] = Ŷ′ᵀ·X̂ with Ŷ′ = A·dy·Aᵀ, and dw = Gᵀ·Ŵ′·G.
//!
//! A convolution of stride 2 is four convolutions of stride 1 with 2 × 2 weights, the phases of `winograd_phases.rs`, each with its own
//! X̂ and Ŵ. A forward pass adds up the products of its phases. With m = 4 there are 6.25 multiplications per output instead of 16 for a
//! kernel of 4 × 4, or 9 for 3 × 3.
//!
//! The work is cut in one of two ways. If all of Ŵ and a few images fit a core's cache, a task takes those images through all three
//! steps. If Ŵ is larger, it must be read as rarely as possible: each step is done for as many images as leave X̂ and Ŷ in a cache that
//! the cores share, and each task of the second step computes one point, or some rows of it. The gradient of the weight is computed in
//! the second way, for fewer images at a time where Ŵ′ is small. More sums than one would be more tasks too, but each has the size of
//! Ŵ′.
//!
//! `winograd_points.rs` has the transforms of images, `winograd_weights.rs` those of weights, and `winograd_tile.rs` those of a tile.

use std::ops::Range;

use super::microkernel::{Accumulate, Strides, multiply_tile};
use super::parallel::{DisjointSliceMut, ENOUGH_TASKS, for_each_index};
use super::pool::{CpuBuffer, scratch};
use super::simd::Isa;
use super::window::{Channels, Window};
use super::winograd_phases::{self as phases, Direction};
use super::winograd_points::{LANES, Order, Planes, Results, Tiles, Tiling, from_points};
use super::winograd_tile::Tile;
use super::winograd_weights::{self as weights, Kernels};

/// A Ŵ of this size leaves space for images in a core's cache.
const SMALL: usize = 320 * 1024;

/// Numbers of X̂ and Ŷ that are in memory at once, where the fewest images do not have more.
const NUMBERS: usize = 9 << 18;
/// The images that these are, the least and the most.
const IMAGES: [usize; 2] = [8, 64];

/// `y = bias + conv(x, w)`, or the adjoint, for `w[out, in, kernel]`, `[in, out]` channels, and the window of the forward pass.
pub(crate) fn convolve<T: Tile>(
    from: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    to: &mut [f32],
    direction: Direction,
    channels: Channels,
    window: Window,
) {
    /// Numbers of X̂ and Ŷ that a task should have in the first way.
    const TASK: usize = 64 * 1024;
    let isa = Isa::current();
    let (phases, channels, [from_size, to_size], grid) = match direction {
        Direction::Forward => (phases::forward::<T>(&window), channels, [window.input, window.output], window.output),
        Direction::Adjoint => {
            let grid = window.input.map(|side| side.div_ceil(window.stride));
            (phases::adjoint::<T>(&window), channels.reversed(), [window.output, window.input], grid)
        }
    };
    let ([cin, cout], [in_image, in_result]) = (channels.group, channels.image);
    // A forward pass adds up its phases, while each phase of an adjoint has results of its own.
    let (all, sums) = (phases.len() * T::POINTS, if direction == Direction::Adjoint { phases.len() } else { 1 });
    let tiling = Tiling::of::<T>(grid);
    let weight = Planes::new(Order::Panels, all, cin, cout);
    let kernels = Kernels { weight: w, direction, channels: [cin, cout], taps: window.taps() };
    let w = weights::to_points::<T>(isa, &kernels, &phases, weight);
    let tiles = Tiles::new::<T, false>(from, [cin, in_image], from_size, tiling, &phases);
    let to = &DisjointSliceMut::new(to);
    let results = Results {
        images: to,
        channels: cout,
        image_channels: in_result,
        size: to_size,
        tiling,
        phases: &phases[..sums],
        bias,
    };
    let planes = |images: usize| {
        let rows = images * tiling.count();
        [Planes::new(Order::Rows, all, rows, cin), Planes::new(Order::Rows, sums * T::POINTS, rows, cout)]
    };
    let terms = |plane: usize| (plane..all).step_by(sums * T::POINTS).map(|plane| [plane, plane]);

    let image: usize = planes(1).iter().map(|p| p.count()).sum();
    if weight.count() <= SMALL {
        let some = (TASK / image).clamp(1, window.batch);
        for_each_index(window.batch.div_ceil(some), &|task| {
            let images = task * some..((task + 1) * some).min(window.batch);
            let [from, to] = planes(images.len());
            let rows = images.len() * tiling.count();
            scratch(from.count() + to.count(), |room| {
                let (xs, ys) = room.split_at_mut(from.count());
                let all = DisjointSliceMut::new(xs);
                for (i, image) in images.clone().enumerate() {
                    tiles.to_points::<T, false>(isa, [image, i * tiling.count()], &all, from);
                }
                for (plane, ys) in ys.chunks_exact_mut(to.plane()).enumerate() {
                    let operands = [(&*xs, from), (&*w, weight)];
                    sum_products(isa, [0..rows, 0..cin], operands, terms(plane), (ys, to), Accumulate::Overwrite);
                }
                for (i, image) in images.enumerate() {
                    from_points::<T>(isa, (ys, to), [image, i * tiling.count()], &results);
                }
            });
        });
        return;
    }
    let together = (NUMBERS / image).clamp(IMAGES[0], IMAGES[1]).min(window.batch);
    let [mut xs, mut ys] = planes(together).map(|planes| CpuBuffer::take(planes.count()));
    for first in (0..window.batch).step_by(together) {
        let some = together.min(window.batch - first);
        let [from, to] = planes(some);
        let all = DisjointSliceMut::new(&mut xs);
        for_each_index(some, &|i| tiles.to_points::<T, false>(isa, [first + i, i * tiling.count()], &all, from));
        let size = [some * tiling.count(), cin];
        products(isa, size, [(&xs, from), (&w, weight)], &terms, (&mut ys, to), Accumulate::Overwrite);
        for_each_index(some, &|i| from_points::<T>(isa, (&ys, to), [first + i, i * tiling.count()], &results));
    }
}

/// `dw[out, in, kernel]` from `x[batch, in, input]` and `dy[batch, out, output]`.
pub(crate) fn weight_gradient<T: Tile>(x: &[f32], dy: &[f32], dw: &mut [f32], channels: Channels, window: Window) {
    let ([cin, cout], [in_image, in_result]) = (channels.group, channels.image);
    let (isa, tiling, phases) = (Isa::current(), Tiling::of::<T>(window.output), phases::forward::<T>(&window));
    let all = phases.len() * T::POINTS;
    let x = Tiles::new::<T, false>(x, [cin, in_image], window.input, tiling, &phases);
    let dy = Tiles::new::<T, true>(dy, [cout, in_result], window.output, tiling, &[phases::gradient()]);
    let product = Planes::new(Order::Rows, all, cout, cin);
    let planes =
        |rows: usize| [Planes::new(Order::Columns, T::POINTS, rows, cout), Planes::new(Order::Panels, all, rows, cin)];

    let image: usize = planes(tiling.count()).iter().map(|p| p.count()).sum();
    let some = if product.count() <= SMALL { (NUMBERS / image).clamp(IMAGES[0], 32) } else { usize::MAX };
    let together = some.min(window.batch);
    let most = planes(together * tiling.count()).map(Planes::count);
    let [mut dys, mut xs] = most.map(CpuBuffer::take);
    let mut sums = CpuBuffer::take(product.count());
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
        let terms = |plane: usize| std::iter::once([plane % T::POINTS, plane]);
        products(isa, [cout, rows], [(&dys, left), (&xs, right)], &terms, (&mut sums, product), accumulate);
    }
    let dw = DisjointSliceMut::new(dw);
    for_each_index(cout, &|output| {
        weights::from_points::<T>(isa, (&sums, product), output, &phases, &dw, [cin, window.taps()]);
    });
}

/// For every plane of c, the sum of the products of its terms, which are planes of a and b, with `rows` rows and sums over `k`.
fn products<I: Iterator<Item = [usize; 2]>>(
    isa: Isa,
    [rows, k]: [usize; 2],
    operands: [(&[f32], Planes); 2],
    terms: &(impl Fn(usize) -> I + Sync),
    (c, out): (&mut [f32], Planes),
    accumulate: Accumulate,
) {
    /// The most rows of one task.
    const BLOCK: usize = 120;
    let planes = out.count() / out.plane();
    let (wanted, whole) = (ENOUGH_TASKS.div_ceil(planes), operands[0].1.whole());
    let some = rows.div_ceil(wanted).next_multiple_of(whole).min(BLOCK / whole * whole);
    let (blocks, c) = (rows.div_ceil(some), DisjointSliceMut::new(c));
    for_each_index(planes * blocks, &|task| {
        let (plane, first) = (task / blocks, task % blocks * some);
        let block = first..(first + some).min(rows);
        let (start, width) = (plane * out.plane(), out.width());
        // SAFETY: no two tasks have rows in common. The last tile may reach past `rows`, since planes are rounded up.
        let c = unsafe { c.part(start + first * width..start + block.end.next_multiple_of(8) * width) };
        sum_products(isa, [block, 0..k], operands, terms(plane), (c, out), accumulate);
    });
}

/// The sum of the products of some planes of a and b, or that added to c, for some rows. The first of these is the first row of `c`.
fn sum_products(
    isa: Isa,
    [rows, ks]: [Range<usize>; 2],
    [(a, left), (b, right)]: [(&[f32], Planes); 2],
    terms: impl Iterator<Item = [usize; 2]>,
    (c, out): (&mut [f32], Planes),
    mut accumulate: Accumulate,
) {
    for [i, j] in terms {
        multiply(isa, [rows.clone(), ks.clone()], left.of(i, a), right.of(j, b), (&mut *c, out), accumulate);
        accumulate = Accumulate::Add;
    }
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
