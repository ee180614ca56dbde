//! Sums and maxima of rows, and of columns:  y[j] = Σᵢ x[i, j].
//!
//! A column is added up in f64, from its first row to its last. A task adds some columns of some rows. How many depends on the shape
//! alone, and the sums of the parts are added in order.

use super::parallel::{self, GRAIN};
use super::pool::CpuBuffer;
use super::simd::{Isa, SimdKernel, Vector};
use super::vector::MOST_LANES;

/// Elements of a tile, the part of a long row that one task adds up.
pub(crate) const TILE: usize = 8 * 1024;

/// Elements of a piece of partial sums.
const PIECE: usize = 2 * 1024;

/// The most columns of a task. Their sums stay in the first-level cache.
const COLUMNS: usize = 512;

/// The least number of rows of a part, so that there are few partial sums beside what is added.
const ROWS: usize = 256;

/// The most vectors of sums beside each other, and the most numbers in them.
const SIDE: usize = 4;
const MOST: usize = 32;

/// Adds all other parts to the first, in order, and returns it. A piece stays in the first-level cache meanwhile.
pub(super) fn add_parts(isa: Isa, parts: &mut [CpuBuffer]) -> &mut CpuBuffer {
    let (total, rest) = parts.split_first_mut().expect("at least one part");
    isa.run(|| {
        for (piece, total) in total.chunks_mut(PIECE).enumerate() {
            for part in &*rest {
                total.iter_mut().zip(&part[piece * PIECE..]).for_each(|(t, x)| *t += x);
            }
        }
    });
    total
}

/// The sum of a row, tile by tile.
pub(crate) struct Row<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) sum: &'a mut f64,
}

impl SimdKernel for Row<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        *self.sum = 0.0;
        for tile in self.x.chunks(TILE) {
            *self.sum += sum_of(tile, tile, |x, _| x);
        }
    }
}

/// The sum of squares of a tile.
pub(crate) struct Squares<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) sum: &'a mut f64,
}

impl SimdKernel for Squares<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        *self.sum = sum_of(self.x, self.x, |x, y| x * y);
    }
}

/// Sums of the columns of the matrix `x`, whose rows have as many elements as `out`, on all threads.
pub(crate) fn sum_columns(isa: Isa, x: &[f32], out: &mut [f32]) {
    let cols = out.len();
    let rows = x.len() / cols;
    let (blocks, part) = (cols.div_ceil(COLUMNS), rows_of_part(rows, cols));
    let parts = rows.div_ceil(part).max(1);
    let sums = |block: usize, part_number: usize| {
        let first = block * COLUMNS;
        let mut sums = vec![0.0; (cols - first).min(COLUMNS)];
        let x = &x[part_number * part * cols..][..part.min(rows - part_number * part) * cols];
        isa.dispatch(Columns { x, cols, first, sums: &mut sums });
        sums
    };
    let all: Vec<Vec<f64>> = parallel::map(blocks * parts, |i| sums(i / parts, i % parts));
    for (out, parts) in out.chunks_mut(COLUMNS).zip(all.chunks(parts)) {
        let (total, rest) = parts.split_first().expect("at least one part");
        let mut total = total.clone();
        rest.iter().for_each(|sums| total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum));
        out.iter_mut().zip(total).for_each(|(out, total)| *out = total as f32);
    }
}

/// The rows of a part: all where there are columns for many tasks.
fn rows_of_part(rows: usize, cols: usize) -> usize {
    if cols >= 16 * COLUMNS { rows.max(1) } else { (2 * GRAIN / cols.min(COLUMNS)).max(ROWS) }
}

/// Adds the columns from `first` on to `sums`.
pub(crate) struct Columns<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) cols: usize,
    pub(crate) first: usize,
    pub(crate) sums: &'a mut [f64],
}

impl SimdKernel for Columns<'_> {
    /// Four rows at a time, so that a sum is loaded and stored once for four elements. They are added one after the other.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Columns { x, cols, first, sums } = self;
        let width = sums.len();
        let mut fours = x.chunks_exact(4 * cols);
        for four in &mut fours {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| &four[row * cols + first..][..width]);
            for j in 0..width {
                sums[j] = (((sums[j] + f64::from(a[j])) + f64::from(b[j])) + f64::from(c[j])) + f64::from(d[j]);
            }
        }
        for row in fours.remainder().chunks_exact(cols) {
            sums.iter_mut().zip(&row[first..]).for_each(|(sum, &x)| *sum += f64::from(x));
        }
    }
}

/// The largest number of each column of `x`, at least `f32::MIN`.
pub(crate) struct Largest<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) out: &'a mut [f32],
}

impl SimdKernel for Largest<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        self.out.fill(f32::MIN);
        if let [out] = self.out {
            *out = largest(self.x);
            return;
        }
        for line in self.x.chunks(self.out.len()) {
            self.out.iter_mut().zip(line).for_each(|(most, &x)| *most = larger(*most, x));
        }
    }
}

/// The larger number, or the first if the second is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The largest number of a row, at least `f32::MIN`. Sixteen maxima at a time do not wait for each other.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    let mut most = [f32::MIN; 16];
    let blocks = row.chunks_exact(16);
    let rest = blocks.remainder();
    for block in blocks {
        for lane in 0..16 {
            most[lane] = larger(most[lane], block[lane]);
        }
    }
    most.iter().chain(rest).fold(f32::MIN, |most, &x| larger(most, x))
}

/// The terms of N sums over K slices. It is not a closure, because the compiler does not always inline one.
pub(super) trait Terms<const K: usize, const N: usize> {
    /// The sums with the terms of a vector from each slice. It is `#[inline(always)]`, as all of a kernel.
    fn add<V: Vector>(&self, sums: [V; N], x: [V; K]) -> [V; N];
}

/// N sums over slices of one length. Several vectors of sums do not wait for each other.
#[inline(always)]
pub(super) fn sums_of<V: Vector, const K: usize, const N: usize>(
    mut slices: [&[f32]; K],
    terms: impl Terms<K, N>,
) -> [f64; N] {
    let len = slices[0].len();
    for k in 1..K {
        slices[k] = &slices[k][..len];
    }
    let side = (MOST / V::LANES).min(SIDE);
    let zeros = [V::splat(0.0); N];
    let mut sums = [zeros; SIDE];
    let mut at = 0;
    while at + side * V::LANES <= len {
        for sums in &mut sums[..side] {
            *sums = terms.add(*sums, read_each(&slices, at));
            at += V::LANES;
        }
    }
    while at + V::LANES <= len {
        sums[0] = terms.add(sums[0], read_each(&slices, at));
        at += V::LANES;
    }
    let mut results = [0.0; N];
    for n in 0..N {
        let mut sum = sums[0][n];
        for more in &sums[1..side] {
            sum = sum.add(more[n]);
        }
        results[n] = f64::from(sum_lanes(sum));
    }
    if at < len {
        let mut rest = [[0.0; MOST_LANES]; K];
        for k in 0..K {
            rest[k][..len - at].copy_from_slice(&slices[k][at..]);
        }
        let last = terms.add(zeros, read_each(&rest.each_ref().map(|rest| &rest[..]), 0));
        for n in 0..N {
            let mut lanes = [0.0; MOST_LANES];
            last[n].write(&mut lanes);
            results[n] += lanes[..len - at].iter().map(|&x| f64::from(x)).sum::<f64>();
        }
    }
    results
}

/// The sum of a slice.
#[inline(always)]
pub(crate) fn sum<V: Vector>(x: &[f32]) -> f64 {
    sums_of::<V, 1, 1>([x], Plain)[0]
}

struct Plain;

impl Terms<1, 1> for Plain {
    #[inline(always)]
    fn add<V: Vector>(&self, [sum]: [V; 1], [x]: [V; 1]) -> [V; 1] {
        [sum.add(x)]
    }
}

/// A vector of each slice.
#[inline(always)]
fn read_each<V: Vector, const K: usize>(slices: &[&[f32]; K], at: usize) -> [V; K] {
    let mut vectors = [V::splat(0.0); K];
    for k in 0..K {
        vectors[k] = V::read(&slices[k][at..]);
    }
    vectors
}

/// The sum of the numbers of a vector.
#[inline(always)]
pub(super) fn sum_lanes<V: Vector>(vector: V) -> f32 {
    let mut lanes = [0.0; MOST_LANES];
    vector.write(&mut lanes);
    let mut half = V::LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The i-th number of each slice. (With `map` instead of loops, these sums took a seventh of the crate's time to compile.)
#[inline(always)]
pub(super) fn at<const K: usize>(slices: &[&[f32]; K], i: usize) -> [f32; K] {
    let mut numbers = [0.0; K];
    for k in 0..K {
        numbers[k] = slices[k][i];
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
