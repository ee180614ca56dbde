//! The packed operand of a convolution that reads its pixels in place (`conv_indirect.rs`), and its product with them.

use std::ops::Range;

use super::microkernel::{Accumulate, Gather, multiply_gathered_tile};
use super::parallel::{DisjointSliceMut, for_each_index};
use super::pool::CpuBuffer;
use super::simd::Isa;

/// Steps of a sum at a time: this part of a panel stays in the first-level cache while many places read it.
const CHUNK: usize = 256;

/// How the right operand, `b[k][column]`, is cut into panels of as many columns as a tile has: `[panel][k][column of the panel]`.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) isa: Isa,
    columns: usize,
    vectors: usize,
    count: usize, // of panels
    pub(super) k: usize,
}

/// Columns from `first` on at the steps `ks`, which are `width` numbers apart in the part `at` of the panels.
pub(super) struct Part {
    pub(super) columns: Range<usize>,
    pub(super) ks: Range<usize>,
    pub(super) width: usize,
    at: Range<usize>,
}

impl Layout {
    pub(super) fn new(isa: Isa, columns: usize, k: usize) -> Layout {
        let tile = isa.tile();
        let vectors = columns.div_ceil(tile.lanes);
        Layout { isa, columns, vectors, count: vectors.div_ceil(tile.cols / tile.lanes), k }
    }

    /// The columns of all panels, which is the distance between two rows of sums.
    pub(super) fn stride(&self) -> usize {
        self.vectors * self.isa.tile().lanes
    }

    /// The parts of all panels, each of which is a chunk of steps.
    fn parts(&self) -> usize {
        self.count * self.k.div_ceil(CHUNK)
    }

    fn part(&self, part: usize) -> Part {
        let (lanes, chunks) = (self.isa.tile().lanes, self.k.div_ceil(CHUNK));
        // The widths of two panels differ by a vector at most.
        let vector = |panel: usize| panel * self.vectors / self.count * lanes;
        let (first, end) = (vector(part / chunks), vector(part / chunks + 1));
        let ks = part % chunks * CHUNK..(part % chunks * CHUNK + CHUNK).min(self.k);
        let width = end - first;
        let at = first * self.k + ks.start * width..first * self.k + ks.end * width;
        Part { columns: first..end.min(self.columns), ks, width, at }
    }

    /// Packs all parts. `pack(part, to)` writes column c at step k to `to[k · width + c]`, both counted from the start of their ranges.
    pub(super) fn pack(self, pack: impl Fn(Part, &mut [f32])) -> Panels {
        let mut data = self.room();
        (0..self.parts()).map(|part| self.part(part)).for_each(|part| {
            let to = &mut data[part.at.clone()];
            pack(part, to);
        });
        Panels { layout: self, data }
    }

    /// Packs the parts in parallel.
    pub(super) fn pack_in_parallel(self, pack: impl Fn(Part, &mut [f32]) + Sync) -> Panels {
        let mut data = self.room();
        let all = DisjointSliceMut::new(&mut data);
        for_each_index(self.parts(), &|part| {
            let part = self.part(part);
            // SAFETY: the parts are disjoint.
            let to = unsafe { all.part(part.at.clone()) };
            pack(part, to);
        });
        Panels { layout: self, data }
    }

    fn room(&self) -> CpuBuffer {
        let mut data = CpuBuffer::take(self.stride() * self.k);
        if self.columns < self.stride() {
            data.fill(0.0);
        }
        data
    }
}

pub(super) struct Panels {
    pub(super) layout: Layout,
    data: CpuBuffer,
}

impl Panels {
    /// `sums[row][column] = Σ_k left[row][k] · b[k][column]`, or `+=`, for the rows of a gathered operand. The number of rows of sums is a
    /// multiple of the tile's.
    pub(super) fn multiply(&self, left: Gather, rows: usize, sums: &mut [f32], accumulate: Accumulate) {
        let Layout { isa, count, k, .. } = self.layout;
        let (tile, stride, chunks) = (isa.tile(), self.layout.stride(), k.div_ceil(CHUNK));
        for chunk in 0..chunks {
            let accumulate = if chunk == 0 { accumulate } else { Accumulate::Add };
            for panel in 0..count {
                let Part { columns, ks, width, at } = self.layout.part(panel * chunks + chunk);
                let b = &self.data[at];
                for row in (0..rows).step_by(tile.rows) {
                    let left = left.part(row..(row + tile.rows).min(rows), ks.clone());
                    let c = &mut sums[row * stride + columns.start..];
                    multiply_gathered_tile(isa, left, width / tile.lanes, (b, width), (c, stride), accumulate);
                }
            }
        }
    }
}
