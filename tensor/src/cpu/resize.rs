//! Resizing of planes of pixels, and its adjoint; `ops/interpolate.rs` begins with the formulas. Both are a linear map, the same for
//! every plane.
//!
//! ```text
//!   small planes            all results = Σ_pixels pixel·shares[pixel], a table of a few KB, transposed for the adjoint
//!   doubling, row by row    line = ¼ and ¾ of two rows          result[2j] = ¼·line[j − 1] + ¾·line[j]
//!   (bilinear)              its ends repeated                   result[2j + 1] = ¾·line[j] + ¼·line[j + 1]
//!   its adjoint             line = ¼, ¾, ¾, ¼ of four rows      result[j] = ¼, ¾, ¾, ¼ of line[2j − 1 … 2j + 2]
//! ```
//! The even and the odd results of a row are one vector each. They are interleaved when they are stored.

use super::parallel::{GRAIN, for_each_part};
use super::pool::scratch;
use super::simd::{Isa, SimdKernel, Vector};
use super::vector::MOST_LANES;

/// Calls `map(planes of x, planes of out)` in parallel for parts of a batch of planes.
fn over_planes(x: &[f32], from: usize, out: &mut [f32], to: usize, map: &(dyn Fn(&[f32], &mut [f32]) + Sync)) {
    let several = (GRAIN / to).max(1);
    for_each_part(out, several * to, &|i, out| {
        let x = &x[i * several * from..];
        map(&x[..x.len().min(several * from)], out);
    });
}

/// A linear map of small planes: `shares[pixel][result]`.
pub(crate) struct Table {
    shares: Vec<f32>, // rows of whole vectors
    from: usize,
    to: usize,
}

impl Table {
    /// Whether a table for this many pixels and results fits the first-level cache.
    pub(crate) fn suits(from: usize, to: usize) -> bool {
        from * to <= 1024
    }

    /// The map that adds `share` times a pixel to a result, for each (pixel, result, share).
    pub(crate) fn new(from: usize, to: usize, shares: impl Iterator<Item = (usize, usize, f32)>) -> Table {
        let width = to.next_multiple_of(MOST_LANES);
        let mut table = Table { shares: vec![0.0; from * width], from, to };
        shares.for_each(|(pixel, result, share)| table.shares[pixel * width + result] += share);
        table
    }

    /// Maps every plane of `x`.
    pub(crate) fn map(&self, x: &[f32], out: &mut [f32]) {
        let isa = Isa::current();
        over_planes(x, self.from, out, self.to, &|x, out| isa.dispatch(Map { table: self, x, out }));
    }
}

struct Map<'a> {
    table: &'a Table,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl SimdKernel for Map<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Table { ref shares, from, to } = *self.table;
        let width = to.next_multiple_of(MOST_LANES);
        for (x, out) in self.x.chunks_exact(from).zip(self.out.chunks_exact_mut(to)) {
            for at in (0..to).step_by(V::LANES) {
                let row = |pixel: usize| V::read(&shares[pixel * width + at..]);
                // Four independent sums, so that none waits for another.
                let mut sums = [V::splat(0.0); 4];
                for (i, four) in x.chunks_exact(4).enumerate() {
                    for k in 0..4 {
                        sums[k] = sums[k].add_product(V::splat(four[k]), row(4 * i + k));
                    }
                }
                for pixel in from / 4 * 4..from {
                    sums[0] = sums[0].add_product(V::splat(x[pixel]), row(pixel));
                }
                let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
                write_some(sum, &mut out[at..]);
            }
        }
    }
}

/// Writes as much of a vector as fits.
#[inline(always)]
fn write_some<V: Vector>(x: V, to: &mut [f32]) {
    if to.len() >= V::LANES {
        return x.write(to);
    }
    let mut rest = [0.0; MOST_LANES];
    x.write(&mut rest);
    match to.len() {
        8 => to.copy_from_slice(&rest[..8]), // a copy of a constant length needs no call
        4 => to.copy_from_slice(&rest[..4]),
        len => to.copy_from_slice(&rest[..len]),
    }
}

/// Resizes planes of `[height, width]` to twice as many rows and columns.
pub(crate) fn double(x: &[f32], size: [usize; 2], out: &mut [f32]) {
    let isa = Isa::current();
    let count = size[0] * size[1];
    over_planes(x, count, out, 4 * count, &|x, out| {
        scratch(2 * size[0] * padded(size[1]), |lines| isa.dispatch(Double { x, size, lines, out }));
    });
}

/// The adjoint of [`double`]: planes of gradients of `[2·height, 2·width]` to those of `[height, width]`.
pub(crate) fn double_adjoint(dy: &[f32], size: [usize; 2], dx: &mut [f32]) {
    let isa = Isa::current();
    let count = size[0] * size[1];
    over_planes(dy, 4 * count, dx, count, &|dy, dx| {
        scratch(size[0] * padded(2 * size[1]), |lines| isa.dispatch(DoubleAdjoint { dy, size, lines, dx }));
    });
}

/// The length of a line that begins at place [`MOST_LANES`], where a vector is aligned, with space for its ends repeated and for vectors that
/// begin in it.
fn padded(width: usize) -> usize {
    MOST_LANES + width.next_multiple_of(MOST_LANES) + 2 * MOST_LANES
}

/// All lines of a plane are computed before the first is used, since a load that overlaps two recent stores waits for both.
struct Double<'a> {
    x: &'a [f32],
    size: [usize; 2],
    lines: &'a mut [f32],
    out: &'a mut [f32],
}

impl SimdKernel for Double<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let ([height, width], lines) = (self.size, self.lines);
        let (quarter, most) = (V::splat(0.25), V::splat(0.75));
        let whole = width / V::LANES * V::LANES;
        lines.fill(0.0);
        for (x, out) in self.x.chunks_exact(height * width).zip(self.out.chunks_exact_mut(4 * height * width)) {
            for (row, line) in lines.chunks_exact_mut(padded(width)).enumerate() {
                let far = if row % 2 == 0 { (row / 2).saturating_sub(1) } else { (row / 2 + 1).min(height - 1) };
                let (near, far) = (&x[row / 2 * width..][..width], &x[far * width..][..width]);
                let inner = &mut line[MOST_LANES..][..width];
                for j in (0..whole).step_by(V::LANES) {
                    V::read(&near[j..]).mul(most).add_product(quarter, V::read(&far[j..])).write(&mut inner[j..]);
                }
                for j in whole..width {
                    inner[j] = 0.75 * near[j] + 0.25 * far[j];
                }
                (line[MOST_LANES - 1], line[MOST_LANES + width]) = (line[MOST_LANES], line[MOST_LANES + width - 1]);
            }
            for (line, out) in lines.chunks_exact(padded(width)).zip(out.chunks_exact_mut(2 * width)) {
                let line = &line[MOST_LANES - 1..];
                for at in (0..whole).step_by(V::LANES) {
                    let [first, second] = doubled::<V>(&line[at..]);
                    let out = &mut out[2 * at..][..2 * V::LANES];
                    first.write(out);
                    second.write(&mut out[V::LANES..]);
                }
                if whole < width {
                    let ([first, second], out) = (doubled::<V>(&line[whole..]), &mut out[2 * whole..]);
                    write_some(first, out);
                    if out.len() > V::LANES {
                        write_some(second, &mut out[V::LANES..]);
                    }
                }
            }
        }
    }
}

/// Two vectors of results from a line, of which the first number is the left neighbour of the first pixel.
#[inline(always)]
fn doubled<V: Vector>(line: &[f32]) -> [V; 2] {
    let (line, quarter) = (&line[..V::LANES + 2], V::splat(0.25));
    let here = V::read(&line[1..]).mul(V::splat(0.75));
    here.add_product(quarter, V::read(line)).interleave(here.add_product(quarter, V::read(&line[2..])))
}

struct DoubleAdjoint<'a> {
    dy: &'a [f32],
    size: [usize; 2],
    lines: &'a mut [f32],
    dx: &'a mut [f32],
}

impl SimdKernel for DoubleAdjoint<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let ([height, width], lines) = (self.size, self.lines);
        let (quarter, most) = (V::splat(0.25), V::splat(0.75));
        let whole = 2 * width / V::LANES * V::LANES;
        lines.fill(0.0);
        for (dy, dx) in self.dy.chunks_exact(4 * height * width).zip(self.dx.chunks_exact_mut(height * width)) {
            for (row, line) in lines.chunks_exact_mut(padded(2 * width)).enumerate() {
                let rows = [(2 * row).saturating_sub(1), 2 * row, 2 * row + 1, (2 * row + 2).min(2 * height - 1)];
                let [a, b, c, d] = rows.map(|row| &dy[row * 2 * width..][..2 * width]);
                let inner = &mut line[MOST_LANES..][..2 * width];
                for j in (0..whole).step_by(V::LANES) {
                    let far = V::read(&a[j..]).add(V::read(&d[j..]));
                    let near = V::read(&b[j..]).add(V::read(&c[j..]));
                    near.mul(most).add_product(quarter, far).write(&mut inner[j..]);
                }
                for j in whole..2 * width {
                    inner[j] = 0.25 * (a[j] + d[j]) + 0.75 * (b[j] + c[j]);
                }
                (line[MOST_LANES - 1], line[MOST_LANES + 2 * width]) =
                    (line[MOST_LANES], line[MOST_LANES + 2 * width - 1]);
            }
            for (line, dx) in lines.chunks_exact(padded(2 * width)).zip(dx.chunks_exact_mut(width)) {
                for (at, dx) in dx.chunks_mut(V::LANES).enumerate() {
                    let line = &line[MOST_LANES - 1 + 2 * at * V::LANES..];
                    let pairs = |line: &[f32]| V::read(line).deinterleave(V::read(&line[V::LANES..]));
                    let ([before, first], [second, after]) = (pairs(line), pairs(&line[2..]));
                    write_some(first.add(second).mul(most).add_product(quarter, before.add(after)), dx);
                }
            }
        }
    }
}
