//! 3 × 3 convolutions of 2 × 2 images, where more than half of a kernel's taps fall on the border.
//!
//! Each of the four pixels p of the result reads each of the four pixels q of the image, through the tap
//! t(p, q) = 4 + 3·(q_y − p_y) + (q_x − p_x):
//!
//! ```text
//!   y[n, o, p] = Σ_(c,q) w[o, c, t(p,q)]·x[n, c, q]       image q:  0 1     taps t of pixel p = 0:  · · ·
//!   x[n, c, q] = Σ_(o,p) w[o, c, t(p,q)]·y[n, o, p]                 2 3                             · 4 5
//!   w[o, c, t] = Σ_(n; p,q: t(p,q) = t) y[n, o, p]·x[n, c, q]                                       · 7 8
//! ```
//! That is 16 products for a pair of channels, as many as Winograd's F(2 × 2) needs, without a transform. Vectors run along images.
//! Most of the memory traffic is the weights; each is read once, in place, and broadcast to a vector.

use super::microkernel::{Accumulate, Strides, multiply_tile};
use super::parallel::{DisjointSliceMut, for_each_index, for_each_part};
use super::pool::{CpuBuffer, scratch};
use super::simd::{Isa, SimdKernel, Vector};
use super::transpose::transpose;

/// Channels of one task.
const SOME: usize = 8;
/// Channels whose taps are added up at once: whole vectors.
const LANES: usize = 16;

/// The distance between the taps of pixel `q` and of pixel 0.
#[inline(always)]
const fn ahead(q: usize) -> usize {
    q / 2 * 3 + q % 2
}

/// t(p, q).
#[inline(always)]
const fn tap(p: usize, q: usize) -> usize {
    4 + ahead(q) - ahead(p)
}

/// `y[batch, rows, 2, 2] = bias + Σ w·x[batch, sums, 2, 2]`, where `w` is `[rows, sums, 3, 3]`, or, for the adjoint,
/// `[sums, rows, 3, 3]`.
pub(super) fn convolve(
    x: &[f32],
    w: &[f32],
    adjoint: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
    [sums, rows]: [usize; 2],
    batch: usize,
) {
    let isa = Isa::current();
    let width = batch.next_multiple_of(32); // whole vectors of images, two at a time
    let x = &images_last(isa, x, 4 * sums, batch, width);
    let y = DisjointSliceMut::new(y);
    for_each_index(rows.div_ceil(SOME), &|task| {
        let first = task * SOME;
        let some = SOME.min(rows - first);
        scratch(4 * SOME * width, |out| {
            let bias = |row: usize| bias.map_or(0.0, |bias| bias[(first + row).min(rows - 1)]);
            let bias: [f32; SOME] = std::array::from_fn(bias);
            if adjoint {
                // The weights of a task are short runs far apart, so they are copied together first.
                scratch(sums * SOME * 9, |near| {
                    for (near, w) in near.chunks_exact_mut(SOME * 9).zip(w.chunks_exact(rows * 9)) {
                        near[..some * 9].copy_from_slice(&w[first * 9..(first + some) * 9]);
                    }
                    let (row, sum) = (9, SOME * 9);
                    isa.dispatch(Rows::<true> { x, width, w: near, row, sum, sums, some, bias: &bias, out });
                });
            } else {
                let (w, row, sum) = (&w[first * sums * 9..], sums * 9, 9);
                isa.dispatch(Rows::<false> { x, width, w, row, sum, sums, some, bias: &bias, out });
            }
            scratch(4 * SOME * batch, |turned| {
                transpose(isa, out, width, 4 * some, batch, turned, 4 * SOME);
                for (n, turned) in turned.chunks_exact(4 * SOME).enumerate() {
                    let start = (n * rows + first) * 4;
                    // SAFETY: no two tasks have a channel in common.
                    let y = unsafe { y.part(start..start + 4 * some) };
                    y.copy_from_slice(&turned[..4 * some]);
                }
            });
        });
    });
}

/// `[batch][count]` as `[count][width]`, with zeros beyond the batch.
fn images_last(isa: Isa, x: &[f32], count: usize, batch: usize, width: usize) -> CpuBuffer {
    const ROWS: usize = 64;
    let mut turned = CpuBuffer::take(count * width);
    for_each_part(&mut turned, ROWS * width, &|i, to| {
        if batch < width {
            to.fill(0.0);
        }
        transpose(isa, &x[i * ROWS..], count, batch, to.len() / width, to, width);
    });
    turned
}

/// Computes some channels of the result for all images: `out[(channel, pixel)][image]`.
struct Rows<'a, const ADJOINT: bool> {
    x: &'a [f32],
    width: usize,
    w: &'a [f32],
    row: usize, // the stride of `w` between channels of the result
    sum: usize, // the stride of `w` between channels that are summed over
    sums: usize,
    some: usize,
    bias: &'a [f32; SOME],
    out: &'a mut [f32],
}

impl<const ADJOINT: bool> SimdKernel for Rows<'_, ADJOINT> {
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        // Each channel takes registers for 4 pixels of 2 vectors of images.
        match V::ROWS {
            8 => self.all::<V, 2>(),
            _ => self.all::<V, 1>(),
        }
    }
}

impl<const ADJOINT: bool> Rows<'_, ADJOINT> {
    #[inline(always)]
    fn all<V: Vector, const CHANNELS: usize>(&mut self) {
        for channel in (0..self.some).step_by(CHANNELS) {
            for image in (0..self.width).step_by(2 * V::LANES) {
                self.tile::<V, CHANNELS>(channel, image);
            }
        }
    }

    #[inline(always)]
    fn tile<V: Vector, const CHANNELS: usize>(&mut self, channel: usize, image: usize) {
        let kernels: [usize; CHANNELS] = std::array::from_fn(|i| (channel + i).min(self.some - 1) * self.row);
        let mut out = [[[V::splat(0.0); 2]; 4]; CHANNELS];
        for i in 0..CHANNELS {
            out[i] = [[V::splat(self.bias[channel + i]); 2]; 4];
        }
        assert!(self.x.len() >= self.sums * 4 * self.width && image + 2 * V::LANES <= self.width);
        assert!(self.w.len() >= kernels[CHANNELS - 1] + (self.sums - 1) * self.sum + 9);
        for k in 0..self.sums {
            for q in 0..4 {
                // SAFETY: both are within the lengths checked above: there are 4·sums rows, and 9 taps of every kernel.
                unsafe {
                    let x = self.x.as_ptr().add((k * 4 + q) * self.width + image);
                    let x = [V::load(x), V::load(x.add(V::LANES))];
                    for i in 0..CHANNELS {
                        let kernel = self.w.as_ptr().add(kernels[i] + k * self.sum);
                        for p in 0..4 {
                            let w = V::splat(*kernel.add(if ADJOINT { tap(q, p) } else { tap(p, q) }));
                            out[i][p] = [out[i][p][0].add_product(w, x[0]), out[i][p][1].add_product(w, x[1])];
                        }
                    }
                }
            }
        }
        for i in 0..CHANNELS {
            for p in 0..4 {
                let to = &mut self.out[((channel + i) * 4 + p) * self.width + image..];
                out[i][p][0].write(to);
                out[i][p][1].write(&mut to[V::LANES..]);
            }
        }
    }
}

/// `dw[cout, cin, 3, 3]` from `x[batch, cin, 2, 2]` and `dy[batch, cout, 2, 2]`. A matrix product sums the products of all pairs of
/// pixels over the images; then the pairs are added up by their taps.
pub(super) fn weight_gradient(x: &[f32], dy: &[f32], dw: &mut [f32], [cin, cout]: [usize; 2], batch: usize) {
    let (isa, columns) = (Isa::current(), cin.next_multiple_of(LANES));
    let width = 4 * columns + 16; // not a multiple of 4 KiB, since such rows would share cache sets
    let x = &pixels_first(isa, x, cin, batch, columns, width);
    let tile = isa.tile();
    let tile_rows = tile.rows / 4 * 4; // whole channels of the output
    let dw = DisjointSliceMut::new(dw);
    for_each_index(cout.div_ceil(SOME), &|task| {
        let first = task * SOME;
        let some = SOME.min(cout - first);
        scratch(4 * SOME * batch + tile_rows * width, |room| {
            let (near, products) = room.split_at_mut(4 * SOME * batch);
            near.fill(0.0);
            for (near, dy) in near.chunks_exact_mut(4 * SOME).zip(dy.chunks_exact(4 * cout)) {
                near[..4 * some].copy_from_slice(&dy[4 * first..4 * (first + some)]);
            }
            for row in (0..4 * some).step_by(tile_rows) {
                for column in (0..4 * columns).step_by(tile.cols) {
                    let size = [tile_rows, (4 * columns - column).min(tile.cols) / tile.lanes];
                    let strides = Strides { a_row: 1, a_k: 4 * SOME, b_k: width, c_row: width };
                    let (a, b, c) = (&near[row..], &x[column..], &mut products[column..]);
                    multiply_tile(isa, size, batch, a, b, c, strides, Accumulate::Overwrite);
                }
                for (i, products) in products.chunks_exact(4 * width).enumerate() {
                    let output = row / 4 + i;
                    if output < some {
                        let start = (first + output) * cin * 9;
                        // SAFETY: no two tasks have a channel in common.
                        let dw = unsafe { dw.part(start..start + cin * 9) };
                        isa.dispatch(AddTaps { isa, products, width, columns, cin, dw });
                    }
                }
            }
        });
    });
}

/// `[batch][channel][4]` as `[batch][4][columns]`, each image in a row of `width`.
fn pixels_first(isa: Isa, x: &[f32], channels: usize, batch: usize, columns: usize, width: usize) -> CpuBuffer {
    let mut turned = CpuBuffer::take(batch * width);
    for_each_part(&mut turned, width, &|image, to| {
        if channels < columns {
            to.fill(0.0);
        }
        transpose(isa, &x[image * 4 * channels..], 4, channels, 4, to, columns);
    });
    turned
}

/// The kernels of one output channel: `dw[c][t]` from `products[p][q][c]`.
struct AddTaps<'a> {
    isa: Isa,
    products: &'a [f32],
    width: usize,
    columns: usize,
    cin: usize,
    dw: &'a mut [f32],
}

impl SimdKernel for AddTaps<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for first in (0..self.cin).step_by(LANES) {
            let mut taps = [0.0; 9 * LANES];
            for lane in (0..LANES).step_by(V::LANES) {
                let mut sums = [V::splat(0.0); 9];
                for p in 0..4 {
                    for q in 0..4 {
                        let product = V::read(&self.products[p * self.width + q * self.columns + first + lane..]);
                        sums[tap(p, q)] = sums[tap(p, q)].add(product);
                    }
                }
                for t in 0..9 {
                    sums[t].write(&mut taps[t * LANES + lane..]);
                }
            }
            let some = LANES.min(self.cin - first);
            transpose(self.isa, &taps, LANES, 9, some, &mut self.dw[first * 9..], 9);
        }
    }
}
