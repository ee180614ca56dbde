//! Sums and maxima of rows, and of columns:  y[j] = Σᵢ x[i, j].
//!
//! A column is added up in f64, from its first row to its last. A task adds some columns of some rows. How many depends on the shape
//! alone, and the sums of the parts are added in order.

use super::parallel::{self, GRAIN};
use super::pool::CpuBuffer;
use super::simd::{Isa, SimdKernel, Vector};

/// Elements of a tile, the part of a long row that one task adds up.
pub(crate) const TILE: usize = 8 * 1024;

/// Elements of a piece of partial sums.
const PIECE: usize = 2 * 1024;

/// The most columns of a task. Their sums stay in the first-level cache.
const COLUMNS: usize = 512;

/// The least number of rows of a part, so that there are few partial sums beside what is added.
const ROWS: usize = 256;

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
fn largest(row: &[f32]) -> f32 {
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

/// N sums Σ f(aᵢ, bᵢ, …) over slices of one length. Each is accumulated in several independent f32 sums, more of them for longer slices.
#[inline(always)]
pub(super) fn sums_of<const K: usize, const N: usize>(
    slices: [&[f32]; K],
    f: impl Fn([f32; K]) -> [f32; N],
) -> [f64; N] {
    match slices[0].len() {
        32.. => side_by_side::<32, K, N>(slices, f),
        16.. => side_by_side::<16, K, N>(slices, f),
        _ => side_by_side::<1, K, N>(slices, f),
    }
}

#[inline(always)]
fn side_by_side<const SIDE: usize, const K: usize, const N: usize>(
    mut slices: [&[f32]; K],
    f: impl Fn([f32; K]) -> [f32; N],
) -> [f64; N] {
    let mut sums = [[0.0f32; SIDE]; N];
    let len = slices[0].len();
    for k in 1..K {
        slices[k] = &slices[k][..len];
    }
    let whole = len / SIDE * SIDE;
    for start in (0..whole).step_by(SIDE) {
        for i in 0..SIDE {
            let terms = f(at(&slices, start + i));
            for n in 0..N {
                sums[n][i] += terms[n];
            }
        }
    }
    for i in whole..len {
        let terms = f(at(&slices, i));
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
