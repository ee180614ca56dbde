//! Winograd's minimal filtering (Lavin and Gray, 1509.09308) for 3 × 3 convolutions of stride 1.
//!
//! A tile of m × m outputs sees (m + 2)² inputs. Both are turned into values of polynomials at m + 2 points a side, where the
//! convolution is a product a point: (m + 2)² multiplications where the definition needs 9·m². For m = 4 that is 2.25 an
//! output instead of 9, for m = 2 it is 4.
//!
//! ```text
//!   image ──gather──► tiles of (m+2)² pixels ──Bᵀ·d·B──► X̂[point][tile][channel] ─┐
//!                                                                                 ├─ Ŷ[point] = X̂[point]·Ŵ[point]
//!   weight 3 × 3 ─────────────────────────────G·w·Gᵀ──► Ŵ[point][channel][out] ───┘
//!   image ◄──scatter── tiles of m² pixels ◄───Aᵀ·ŷ·A──── Ŷ[point][tile][out]
//! ```
//! The weight's gradient goes the other way round: Ŵ′[point] = Ŷ′ᵀ·X̂ with Ŷ′ = A·dy·Aᵀ, and dw = Gᵀ·Ŵ′·G.
//!
//! The matrices A, B and G stand in `winograd_tile.rs`. Vectors run along 16 channels, so a pixel is one register and the transforms are plain additions of registers.

use std::marker::PhantomData;

use rayon::prelude::*;

use super::conv::Window;
use super::microkernel::{Strides, Then, multiply_tile};
use super::parallel::Disjoint;
use super::pool::{CpuBuffer, scratch};
use super::simd::{Isa, Job, Vector};
use super::transpose::transpose;
use super::winograd_tile::{Tile, Transform};

/// Channels of one vector.
const LANES: usize = 16;

/// Tiles times images of one task of the products.
const BLOCK: usize = 128;

/// The tiles that cover a batch of images.
#[derive(Clone, Copy)]
struct Tiling {
    batch: usize,
    size: [usize; 2],
    tiles: [usize; 2],
}

impl Tiling {
    fn of<T: Tile>(batch: usize, size: [usize; 2]) -> Tiling {
        Tiling { batch, size, tiles: size.map(|s| s.div_ceil(T::OUT)) }
    }

    /// Tiles of one image.
    fn each(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    fn count(&self) -> usize {
        self.batch * self.each()
    }

    /// The first pixel, (y, x), of an image's tile.
    #[inline(always)]
    fn corner<T: Tile>(&self, tile: usize) -> [usize; 2] {
        [tile / self.tiles[1] * T::OUT, tile % self.tiles[1] * T::OUT]
    }
}

/// Numbers at every point: `[point][row][column]`, rows and columns rounded up.
struct Points {
    data: CpuBuffer,
    rows: usize,
    width: usize,
}

impl Points {
    /// Row lengths are rounded up to whole vectors, and away from powers of two: rows 2 KiB apart share cache sets.
    fn new<T: Tile>(rows: usize, channels: usize) -> Points {
        let width = channels.next_multiple_of(LANES);
        let width = if width.is_multiple_of(128) { width + LANES } else { width };
        let rows = rows.next_multiple_of(8);
        Points { data: CpuBuffer::take(T::IN * T::IN * rows * width), rows, width }
    }

    fn plane(&self) -> usize {
        self.rows * self.width
    }
}

/// `y = bias + conv(x, w)`: `x[batch, in, input]`, `y[batch, out, output]`; `w[out, in, 3, 3]`, or, for the adjoint,
/// `w[in, out, 3, 3]`, which is turned round.
pub(crate) fn convolve<T: Tile>(
    x: &[f32],
    w: &[f32],
    adjoint: bool,
    bias: Option<&[f32]>,
    y: &mut [f32],
    [cin, cout]: [usize; 2],
    window: Window,
) {
    let weight = weight_points::<T>(w, adjoint, [cin, cout]);
    let [from, to] = [cin * pixels(window.input), cout * pixels(window.output)];
    let some = round::<T>(&window, cin, cout);
    for (x, y) in x.chunks(some * from).zip(y.chunks_mut(some * to)) {
        let tiling = Tiling::of::<T>(x.len() / from, window.output);
        let x = to_points::<T>(x, cin, window.input, tiling, window.padding as isize);
        let mut product = Points::new::<T>(tiling.count(), cout);
        let strides = Strides { a_row: x.width, a_k: 1, b_k: weight.width, c_row: product.width };
        multiply_points::<T>([tiling.count(), cout, cin], &x, &weight, &mut product, strides, Then::Store);
        from_points::<T>(&product, bias, y, cout, tiling);
    }
}

/// `dw[out, in, 3, 3]` from `x[batch, in, input]` and `dy[batch, out, output]`.
pub(crate) fn weight_gradient<T: Tile>(x: &[f32], dy: &[f32], dw: &mut [f32], [cin, cout]: [usize; 2], window: Window) {
    let [from, to] = [cin * pixels(window.input), cout * pixels(window.output)];
    let some = round::<T>(&window, cin, cout);
    let mut product = Points::new::<T>(cout, cin);
    for (i, (x, dy)) in x.chunks(some * from).zip(dy.chunks(some * to)).enumerate() {
        let tiling = Tiling::of::<T>(x.len() / from, window.output);
        let x = to_points::<T>(x, cin, window.input, tiling, window.padding as isize);
        let dy = gradient_points::<T>(dy, cout, tiling);
        let strides = Strides { a_row: 1, a_k: dy.width, b_k: x.width, c_row: product.width };
        let then = if i == 0 { Then::Store } else { Then::Add };
        multiply_points::<T>([cout, cin, tiling.count()], &dy, &x, &mut product, strides, then);
    }
    weight_from_points::<T>(&product, dw, [cin, cout]);
}

fn pixels([height, width]: [usize; 2]) -> usize {
    height * width
}

/// Images of one round. What a round computes should still be in the caches when it is used, but every round reads all the
/// weights again: where those are the larger part, one round takes the whole batch.
fn round<T: Tile>(window: &Window, cin: usize, cout: usize) -> usize {
    const CACHED: usize = 1024 * 1024; // numbers: 4 MiB, of which each core sees its part
    let points = T::IN * T::IN;
    let image = points * Tiling::of::<T>(1, window.output).count() * (cin + cout);
    let rounds = if points * cin * cout > CACHED { 1 } else { (window.batch * image).div_ceil(CACHED) };
    window.batch.div_ceil(rounds.max(1)).max(1)
}

/// `c[point] = a[point]·b[point]`, or `+=`, for the first `rows` rows and `columns` columns of c, summed over `k`.
fn multiply_points<T: Tile>(
    [rows, columns, k]: [usize; 3],
    a: &Points,
    b: &Points,
    c: &mut Points,
    strides: Strides,
    then: Then,
) {
    let isa = Isa::current();
    let (tile_rows, lane) = (isa.tile().rows, isa.tile().cols / 3);
    let vectors = columns.div_ceil(lane);
    let (planes, plane) = ([a.plane(), b.plane()], c.plane());
    let blocks = rows.div_ceil(BLOCK);
    let c = Disjoint::new(&mut c.data);
    (0..T::IN * T::IN * blocks).into_par_iter().for_each(|task| {
        let (point, block) = (task / blocks, task % blocks);
        let (a, b) = (&a.data[point * planes[0]..][..planes[0]], &b.data[point * planes[1]..][..planes[1]]);
        let block_rows = block * BLOCK..((block + 1) * BLOCK).min(rows).next_multiple_of(tile_rows);
        let start = point * plane;
        let range = start + block_rows.start * strides.c_row..start + block_rows.end * strides.c_row;
        // SAFETY: each task has rows of its own.
        let c = unsafe { c.part(range) };
        let mut vector = 0;
        while vector < vectors {
            // Three vectors at a time, and two twice rather than three and one.
            let some = match vectors - vector {
                4 => 2,
                left => left.min(3),
            };
            for row in block_rows.clone().step_by(tile_rows) {
                let at = (row - block_rows.start) * strides.c_row + vector * lane;
                let (a, b) = (&a[row * strides.a_row..], &b[vector * lane..]);
                multiply_tile(isa, some, k, a, b, &mut c[at..], strides, then);
            }
            vector += some;
        }
    });
}

/// Runs `body(image, first channel, channels)` for every image and group of channels in parallel.
fn each_group(batch: usize, channels: usize, body: impl Fn(usize, usize, usize) + Sync) {
    let groups = channels.div_ceil(LANES);
    (0..batch * groups).into_par_iter().for_each(|task| {
        let (image, first) = (task / groups, task % groups * LANES);
        body(image, first, LANES.min(channels - first));
    });
}

/// `[16 channels][pixels]` of an image as `[pixels][16]`; channels that are not there are 0.
fn gather(isa: Isa, planes: &[f32], pixels: usize, channels: usize, flat: &mut [f32]) {
    if channels < LANES {
        flat.fill(0.0);
    }
    transpose(isa, planes, pixels, channels, pixels, flat, LANES);
}

/// Bᵀ·d·B of every tile of an image: `[point][tile][channel]`.
fn to_points<T: Tile>(x: &[f32], channels: usize, size: [usize; 2], tiling: Tiling, padding: isize) -> Points {
    tiles_to_points::<T, false>(x, channels, size, tiling, padding)
}

/// A·dy·Aᵀ of every tile of a gradient: `[point][tile][channel]`.
fn gradient_points<T: Tile>(dy: &[f32], channels: usize, tiling: Tiling) -> Points {
    tiles_to_points::<T, true>(dy, channels, tiling.size, tiling, 0)
}

fn tiles_to_points<T: Tile, const GRADIENT: bool>(
    image: &[f32],
    channels: usize,
    size: [usize; 2],
    tiling: Tiling,
    padding: isize,
) -> Points {
    let mut points = Points::new::<T>(tiling.count(), channels);
    let (pixels, plane, width, isa) = (size[0] * size[1], points.plane(), points.width, Isa::current());
    let to = Disjoint::new(&mut points.data);
    each_group(tiling.batch, channels, |n, first, some| {
        scratch(pixels * LANES, |flat| {
            gather(isa, &image[(n * channels + first) * pixels..], pixels, some, flat);
            let (to, at, tile) = (&to, n * tiling.each() * width + first, PhantomData);
            isa.vectors(ToPoints::<T, GRADIENT> { flat, size, tiling, padding, to, at, plane, width, tile });
        });
    });
    points
}

/// The tiles of one image and 16 channels.
struct ToPoints<'a, T, const GRADIENT: bool> {
    flat: &'a [f32],
    size: [usize; 2],
    tiling: Tiling,
    padding: isize,
    to: &'a Disjoint<'a>,
    at: usize,
    plane: usize,
    width: usize,
    tile: PhantomData<T>,
}

impl<T: Tile, const GRADIENT: bool> Job for ToPoints<'_, T, GRADIENT> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let from = if GRADIENT { T::OUT } else { T::IN };
        let [height, width] = self.size.map(|s| s as isize);
        for tile in 0..self.tiling.each() {
            let [y, x] = self.tiling.corner::<T>(tile).map(|corner| corner as isize - self.padding);
            for lane in (0..LANES).step_by(V::LANES) {
                let mut d = [[V::splat(0.0); 6]; 6];
                for i in 0..from {
                    for j in 0..from {
                        let (y, x) = (y + i as isize, x + j as isize);
                        if (0..height).contains(&y) && (0..width).contains(&x) {
                            d[i][j] = V::read(&self.flat[(y * width + x) as usize * LANES + lane..]);
                        }
                    }
                }
                let transform = if GRADIENT { Transform::OutputAdjoint } else { Transform::Input };
                transform.square::<V, T>(&mut d);
                for i in 0..T::IN {
                    for j in 0..T::IN {
                        let at = (i * T::IN + j) * self.plane + self.at + tile * self.width + lane;
                        // SAFETY: each job has an image and channels of its own.
                        d[i][j].write(unsafe { self.to.part(at..at + V::LANES) });
                    }
                }
            }
        }
    }
}

/// Aᵀ·ŷ·A of every tile, plus a bias, back into images.
fn from_points<T: Tile>(points: &Points, bias: Option<&[f32]>, y: &mut [f32], channels: usize, tiling: Tiling) {
    let (pixels, isa) = (tiling.size[0] * tiling.size[1], Isa::current());
    let y = Disjoint::new(y);
    each_group(tiling.batch, channels, |n, first, some| {
        let mut start = [0.0; LANES];
        if let Some(bias) = bias {
            start[..some].copy_from_slice(&bias[first..first + some]);
        }
        scratch(pixels * LANES, |flat| {
            let at = n * tiling.each() * points.width + first;
            isa.vectors(FromPoints::<T> { points, at, tiling, bias: &start, flat, tile: PhantomData });
            let start = (n * channels + first) * pixels;
            // SAFETY: each task has images and channels of its own.
            let y = unsafe { y.part(start..start + some * pixels) };
            transpose(isa, flat, LANES, pixels, some, y, pixels);
        });
    });
}

/// The tiles of one image and 16 channels.
struct FromPoints<'a, T> {
    points: &'a Points,
    at: usize,
    tiling: Tiling,
    bias: &'a [f32; LANES],
    flat: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<T: Tile> Job for FromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [height, width] = self.tiling.size;
        for tile in 0..self.tiling.each() {
            let [y, x] = self.tiling.corner::<T>(tile);
            for lane in (0..LANES).step_by(V::LANES) {
                let bias = V::read(&self.bias[lane..]);
                let mut m = self.points.load::<V, T>(self.at + tile * self.points.width + lane);
                Transform::Output.square::<V, T>(&mut m);
                for i in 0..T::OUT {
                    for j in 0..T::OUT {
                        if y + i < height && x + j < width {
                            m[i][j].add(bias).write(&mut self.flat[((y + i) * width + x + j) * LANES + lane..]);
                        }
                    }
                }
            }
        }
    }
}

impl Points {
    /// The numbers at every point, from `at` in each plane.
    #[inline(always)]
    fn load<V: Vector, T: Tile>(&self, at: usize) -> [[V; 6]; 6] {
        let mut m = [[V::splat(0.0); 6]; 6];
        for i in 0..T::IN {
            for j in 0..T::IN {
                m[i][j] = V::read(&self.data[(i * T::IN + j) * self.plane() + at..]);
            }
        }
        m
    }
}

/// G·w·Gᵀ of every pair of channels: `[point][in][out]`.
fn weight_points<T: Tile>(w: &[f32], adjoint: bool, [cin, cout]: [usize; 2]) -> Points {
    let mut points = Points::new::<T>(cin, cout);
    let (plane, width, isa) = (points.plane(), points.width, Isa::current());
    let to = Disjoint::new(&mut points.data);
    each_group(cin, cout, |c, first, some| {
        // Sixteen outputs' weights of one input: their kernels lie `stride` apart.
        let (start, stride) = if adjoint { ((c * cout + first) * 9, 9) } else { ((first * cin + c) * 9, cin * 9) };
        let mut flat = [0.0; 9 * LANES];
        transpose(isa, &w[start..], stride, some, 9, &mut flat, LANES);
        let at = c * width + first;
        isa.vectors(WeightPoints::<T> { flat: &flat, adjoint, to: &to, at, plane, tile: PhantomData });
    });
    points
}

/// The kernels of one input and 16 outputs.
struct WeightPoints<'a, T> {
    flat: &'a [f32; 9 * LANES],
    adjoint: bool,
    to: &'a Disjoint<'a>,
    at: usize,
    plane: usize,
    tile: PhantomData<T>,
}

impl<T: Tile> Job for WeightPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for lane in (0..LANES).step_by(V::LANES) {
            let mut g = [[V::splat(0.0); 6]; 6];
            for t in 0..9 {
                let from = if self.adjoint { 8 - t } else { t };
                g[t / 3][t % 3] = V::read(&self.flat[from * LANES + lane..]);
            }
            Transform::Weight.square::<V, T>(&mut g);
            for i in 0..T::IN {
                for j in 0..T::IN {
                    let at = (i * T::IN + j) * self.plane + self.at + lane;
                    // SAFETY: each job has channels of its own.
                    g[i][j].write(unsafe { self.to.part(at..at + V::LANES) });
                }
            }
        }
    }
}

/// Gᵀ·m·G of every pair of channels, `[point][out][in]`, into `dw[out, in, 3, 3]`.
fn weight_from_points<T: Tile>(points: &Points, dw: &mut [f32], [cin, cout]: [usize; 2]) {
    let isa = Isa::current();
    let dw = Disjoint::new(dw);
    each_group(cout, cin, |o, first, some| {
        let mut flat = [0.0; 9 * LANES];
        isa.vectors(WeightFromPoints::<T> { points, at: o * points.width + first, flat: &mut flat, tile: PhantomData });
        let start = (o * cin + first) * 9;
        // SAFETY: each task has channels of its own.
        let dw = unsafe { dw.part(start..start + some * 9) };
        transpose(isa, &flat, LANES, 9, some, dw, 9);
    });
}

/// The kernels of one output and 16 inputs.
struct WeightFromPoints<'a, T> {
    points: &'a Points,
    at: usize,
    flat: &'a mut [f32; 9 * LANES],
    tile: PhantomData<T>,
}

impl<T: Tile> Job for WeightFromPoints<'_, T> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        for lane in (0..LANES).step_by(V::LANES) {
            let mut m = self.points.load::<V, T>(self.at + lane);
            Transform::WeightAdjoint.square::<V, T>(&mut m);
            for t in 0..9 {
                m[t / 3][t % 3].write(&mut self.flat[t * LANES + lane..]);
            }
        }
    }
}
