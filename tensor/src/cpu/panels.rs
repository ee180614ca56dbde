//! The packed operand of a convolution that reads its pixels in place (`conv_indirect.rs`), and its product with them.

use std::ops::Range;

use super::microkernel::{Accumulate, Gather, multiply_gathered_tile};
use super::parallel::{DisjointSliceMut, for_each_index};
use super::pool::CpuBuffer;
use super::simd::Isa;

/// Most steps of a sum at a time. Many places read this part of a panel, which is in the second-level cache. Of shorter parts, each tile's
/// sums would be loaded and stored more often; of longer ones, rounding errors would grow.
const CHUNK: usize = 512;

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

    /// The columns of a panel, which are whole vectors. The widths of two panels differ by a vector at most.
    fn columns(&self, panel: usize) -> Range<usize> {
        let (lanes, vector) = (self.isa.tile().lanes, |panel: usize| panel * self.vectors / self.count);
        vector(panel) * lanes..vector(panel + 1) * lanes
    }

    fn part(&self, part: usize) -> Part {
        let chunks = self.k.div_ceil(CHUNK);
        let (columns, start) = (self.columns(part / chunks), part % chunks * CHUNK);
        let (ks, width) = (start..(start + CHUNK).min(self.k), columns.len());
        let at = columns.start * self.k + ks.start * width..columns.start * self.k + ks.end * width;
        Part { columns: columns.start..columns.end.min(self.columns), ks, width, at }
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

    /// The same in parallel.
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
    /// `sums[row][column] = Σ_k left[row][k] · b[k][column]`, or `+=`, over the steps `ks` and for the rows of a gathered operand, whose
    /// first step is that of the range. The number of rows of sums is a multiple of the tile's.
    pub(super) fn multiply(
        &self,
        left: Gather,
        rows: usize,
        ks: Range<usize>,
        sums: &mut [f32],
        accumulate: Accumulate,
    ) {
        let (isa, stride) = (self.layout.isa, self.layout.stride());
        let (tile, chunks) = (isa.tile(), ks.len().div_ceil(CHUNK));
        for chunk in 0..chunks {
            let [start, end] = [chunk, chunk + 1].map(|chunk| ks.start + chunk * ks.len() / chunks);
            let accumulate = if start == ks.start { accumulate } else { Accumulate::Add };
            for panel in 0..self.layout.count {
                let columns = self.layout.columns(panel);
                let (at, width) = (columns.start * self.layout.k, columns.len());
                let b = &self.data[at + start * width..at + end * width];
                for row in (0..rows).step_by(tile.rows) {
                    let left = left.part(row..(row + tile.rows).min(rows), start - ks.start..end - ks.start);
                    let c = &mut sums[row * stride + columns.start..];
                    multiply_gathered_tile(isa, left, width / tile.lanes, (b, width), (c, stride), accumulate);
                }
            }
        }
    }
}
