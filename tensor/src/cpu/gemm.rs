//! Matrix products `out[m, n] = Σ_k A[m, k]·B[k, n]` of operands that pack themselves.
//!
//! ```text
//!                 n: blocks of up to 96 columns, one task each
//!               ┌──────┬──────┬──
//!            k  │  B   │      │     k: chunks of 256; a task packs its chunk of B into panels `[k][tile.cols]`,
//!               └──────┴──────┴──      which stay in the second-level cache while it reads all of A
//!   ┌────────┐  ┌──────┬──────┬──
//! m │   A    │  │ sums │      │     A is packed once, beforehand, into panels `[k][tile.rows]`
//!   └────────┘  └──────┴──────┴──
//! ```
//! A convolution never stores its unrolled image: its `pack_b` reads rows of the image directly into the panel, and its `store`
//! writes the sums to their places in the output. With few tasks and a long `k` (weight gradients), `k` is cut as well, and the parts
//! are added in order. The cuts depend on the shape alone.

use std::ops::Range;

use super::microkernel::{Accumulate, Strides, multiply_tile};
use super::parallel::{DisjointSliceMut, ENOUGH_TASKS, for_each_index, for_each_item, map};
use super::pool::{CpuBuffer, scratch};
use super::simd::Isa;
use super::sums::add_parts;
use super::transpose::transpose;

/// Steps of `k` in one chunk.
const CHUNK: usize = 256;
/// Columns of one task, the most first: multiples of every tile's columns.
const BLOCK_COLS: [usize; 2] = [96, 48];
/// Columns of a tile from which on it has panels of its own.
const WIDE: usize = 48;
/// The most multiply-adds of a product that is not worth packing both operands, or another thread.
const SMALL: usize = 2 * 1024 * 1024;
/// Numbers of a cache line.
const LINE: usize = 16;
/// Most rows of one task.
const BLOCK_ROWS: usize = 512;
/// Fewest rows of a block that is cut off for the sake of more tasks. A task with fewer would spend too much of its time packing B.
const FEW_ROWS: usize = 256;

/// Packs lines of an operand (rows of A, columns of B) at the steps `ks` into `panel[k][width]`. Lines past the range become 0.
pub(crate) type Pack<'a> = &'a (dyn Fn(Range<usize>, Range<usize>, usize, &mut [f32]) + Sync);

/// Stores finished sums: `block[r·stride + c]` belongs to row `rows.start + r` and column `cols.start + c`. It is called in parallel
/// for disjoint rows and columns, once for every element of the result.
pub(crate) type Store<'a> = &'a (dyn Fn(Range<usize>, Range<usize>, &[f32], usize) + Sync);

/// Computes `Σ_k A[m, k]·B[k, n]` and passes every element to `store`.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn multiply([m, n, k]: [usize; 3], pack_a: Pack, pack_b: Pack, store: Store) {
    if m == 0 || n == 0 {
        return;
    }
    let isa = Isa::current();
    let tile = isa.tile();
    let rows = m.next_multiple_of(tile.rows);
    let a = pack_whole(pack_a, m, rows, k, tile.rows);

    // The work is cut into blocks of rows and columns, and of k where these alone would leave cores idle.
    let fewest = m.div_ceil(BLOCK_ROWS);
    let blocks_of = |cols: usize| {
        let col_blocks = n.div_ceil(cols);
        let row_blocks = ENOUGH_TASKS.div_ceil(col_blocks).min(m / FEW_ROWS).max(fewest);
        (cols, col_blocks, row_blocks)
    };
    let enough = BLOCK_COLS.map(blocks_of).into_iter().find(|(_, cols, rows)| cols * rows >= ENOUGH_TASKS);
    let (block_cols, col_blocks, row_blocks) = enough.unwrap_or_else(|| blocks_of(tile.cols));
    let block_rows = m.div_ceil(row_blocks).next_multiple_of(tile.rows);
    let blocks = row_blocks * col_blocks;
    let chunks = k.div_ceil(CHUNK);
    let parts = (ENOUGH_TASKS / blocks).clamp(1, (chunks / 2).max(1));
    let stride = block_cols;
    // Packing has a cost per row of a panel, so narrow tiles share a wide one. A tile reads one part of each row. The rows are an odd
    // number of cache lines apart, because with an even number those parts would compete for half of the cache or less.
    let panel_cols = if tile.cols < WIDE { block_cols } else { tile.cols };
    let even = panel_cols.is_multiple_of(2 * LINE);
    let b_k = if even { panel_cols + LINE } else { panel_cols };
    let strides = Strides { a_row: 1, a_k: tile.rows, b_k, c_row: stride };
    let area = |block: usize| {
        let (r, c) = (block / col_blocks * block_rows, block % col_blocks * block_cols);
        (r.min(m)..(r + block_rows).min(m), c..(c + block_cols).min(n))
    };

    let sum = |block: usize, chunks: Range<usize>, sums: &mut [f32]| {
        let (block_rows, block_cols) = area(block);
        if chunks.is_empty() {
            sums.fill(0.0);
        }
        let panels = block_cols.len().div_ceil(panel_cols);
        scratch(panels * CHUNK * b_k, |b| {
            for chunk in chunks.clone() {
                let accumulate = if chunk == chunks.start { Accumulate::Overwrite } else { Accumulate::Add };
                let ks = chunk * CHUNK..((chunk + 1) * CHUNK).min(k);
                let starts = block_cols.clone().step_by(panel_cols);
                for (start, panel) in starts.clone().zip(b.chunks_mut(ks.len() * b_k)) {
                    pack_b(start..(start + panel_cols).min(block_cols.end), ks.clone(), b_k, panel);
                }
                let a = &a[ks.start * rows..];
                for (start, panel) in starts.zip(b.chunks(ks.len() * b_k)) {
                    let end = (start + panel_cols).min(block_cols.end);
                    for col in (start..end).step_by(tile.cols) {
                        for row in block_rows.clone().step_by(tile.rows) {
                            let a = &a[row * ks.len()..][..tile.rows * ks.len()];
                            let at = (row - block_rows.start) * stride + col - block_cols.start;
                            let columns = (end - col).min(tile.cols);
                            let size = [(block_rows.end - row).min(tile.rows), columns.div_ceil(tile.lanes)];
                            let b = &panel[col - start..];
                            multiply_tile(isa, size, ks.len(), a, b, &mut sums[at..], strides, accumulate);
                        }
                    }
                }
            }
        });
    };
    let room = |block: usize| area(block).0.len().next_multiple_of(tile.rows) * stride;

    if parts == 1 {
        for_each_index(blocks, &|block| {
            let (rows, cols) = area(block);
            scratch(room(block), |sums| {
                sum(block, 0..chunks, sums);
                store(rows, cols, sums, stride);
            });
        });
        return;
    }
    let mut partial: Vec<CpuBuffer> = map(blocks * parts, |task| {
        let (block, part) = (task / parts, task % parts);
        let mut sums = CpuBuffer::take(room(block));
        sum(block, part * chunks / parts..(part + 1) * chunks / parts, &mut sums);
        sums
    });
    let mut of_blocks: Vec<&mut [CpuBuffer]> = partial.chunks_mut(parts).collect();
    for_each_item(&mut of_blocks, |block, parts| {
        let total = add_parts(isa, parts);
        let (rows, cols) = area(block);
        store(rows, cols, total, stride);
    });
}

/// Packs all of A: for one chunk of `k` after the other, all panels of `width` rows.
fn pack_whole(pack: Pack, m: usize, rows: usize, k: usize, width: usize) -> CpuBuffer {
    let mut packed = CpuBuffer::take(rows * k);
    let (panels, all) = (rows / width, DisjointSliceMut::new(&mut packed));
    for_each_index(k.div_ceil(CHUNK) * panels, &|task| {
        let (chunk, panel) = (task / panels, task % panels);
        let ks = chunk * CHUNK..((chunk + 1) * CHUNK).min(k);
        let start = rows * ks.start + panel * width * ks.len();
        // SAFETY: no two tasks have the same panel of the same chunk.
        let part = unsafe { all.part(start..start + width * ks.len()) };
        pack(panel * width..((panel + 1) * width).min(m), ks, width, part);
    });
    packed
}

/// A matrix in memory with the strides of its rows and columns. One of them is 1.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) col: usize,
}

impl Matrix<'_> {
    /// Packs rows `lines` at columns `ks` into a panel, as A is packed.
    pub(crate) fn pack(self, isa: Isa, lines: Range<usize>, ks: Range<usize>, width: usize, panel: &mut [f32]) {
        if lines.len() < width {
            panel.fill(0.0);
        }
        if self.col == 1 {
            let from = &self.data[lines.start * self.row + ks.start..];
            return transpose(isa, from, self.row, lines.len(), ks.len(), panel, width);
        }
        assert_eq!(self.row, 1, "one of the strides of a matrix is 1");
        for (k, out) in ks.zip(panel.chunks_mut(width)) {
            out[..lines.len()].copy_from_slice(&self.data[k * self.col + lines.start..][..lines.len()]);
        }
    }

    /// The transpose of the matrix. A B is packed as the rows of its transpose.
    pub(crate) fn transposed(self) -> Self {
        Matrix { data: self.data, row: self.col, col: self.row }
    }
}

/// c = a·b of stored matrices; c is `[m, n]`, row-major. The instruction set is that of the operation, whose calling thread may be
/// another one than this.
pub(crate) fn multiply_matrices(isa: Isa, [m, n, k]: [usize; 3], a: Matrix, b: Matrix, c: &mut [f32]) {
    if m.is_multiple_of(2) && n.is_multiple_of(isa.tile().lanes) && m * n * k <= SMALL {
        return multiply_small(isa, [m, n, k], a, b.transposed(), c);
    }
    let (b, c) = (b.transposed(), DisjointSliceMut::new(c));
    isa.force(|| {
        multiply(
            [m, n, k],
            &|rows, ks, width, panel| a.pack(isa, rows, ks, width, panel),
            &|cols, ks, width, panel| b.pack(isa, cols, ks, width, panel),
            &|rows, cols, sums, stride| store_rows(&c, n, rows, cols, sums, stride),
        );
    });
}

/// [`multiply_matrices`] in one task, for operands that fit the second-level cache. Only the transpose of b is packed: a tile reads A in
/// its place, and writes to the result. Tiles must cover it: m is a multiple of two, and n of a vector.
fn multiply_small(isa: Isa, [m, n, k]: [usize; 3], a: Matrix, b: Matrix, c: &mut [f32]) {
    if k == 0 {
        return c.fill(0.0);
    }
    let tile = isa.tile();
    let b_k = if n.is_multiple_of(2 * LINE) { n + LINE } else { n };
    let strides = Strides { a_row: a.row, a_k: a.col, b_k, c_row: n };
    scratch(CHUNK.min(k) * b_k, |panel| {
        for start in (0..k).step_by(CHUNK) {
            let accumulate = if start == 0 { Accumulate::Overwrite } else { Accumulate::Add };
            let steps = (k - start).min(CHUNK);
            b.pack(isa, 0..n, start..start + steps, b_k, &mut panel[..steps * b_k]);
            for col in (0..n).step_by(tile.cols) {
                for row in (0..m).step_by(tile.rows) {
                    let size = [tile.rows.min(m - row), tile.cols.min(n - col) / tile.lanes];
                    let a = &a.data[row * a.row + start * a.col..];
                    multiply_tile(isa, size, steps, a, &panel[col..], &mut c[row * n + col..], strides, accumulate);
                }
            }
        }
    });
}

/// Stores sums in a row-major matrix of `width` columns.
pub(crate) fn store_rows(
    out: &DisjointSliceMut,
    width: usize,
    rows: Range<usize>,
    cols: Range<usize>,
    block: &[f32],
    stride: usize,
) {
    for (r, row) in rows.enumerate() {
        // SAFETY: `multiply` stores each element once.
        let to = unsafe { out.part(row * width + cols.start..row * width + cols.end) };
        to.copy_from_slice(&block[r * stride..][..cols.len()]);
    }
}
