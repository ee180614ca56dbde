//! The loop that does most of the arithmetic: a tile of a matrix product in registers.
//!
//! ```text
//!              b: one row of 3 vectors           c: ROWS × 3 vectors of sums, all in registers
//!   a: one     ┌────────┬────────┬────────┐
//!   column  a₀ │        │        │        │      for every k:  c[r][v] += a[k][r] · b[k][v]
//!   of ROWS a₁ │        │        │        │
//!   numbers …  └────────┴────────┴────────┘
//! ```
//! For every `k` it loads 3 vectors of `b`, broadcasts each number of `a` to a vector, and does 3·ROWS multiply-adds. These are enough
//! to hide the loads and the latency of an addition (4 cycles, two units). AVX-512 has 32 registers for 8 × 3 sums; AVX2 has 16 for
//! 4 × 3.
//!
//! `a` and `b` are usually packed in the order in which they are read, `a[k][ROWS]` and `b[k][columns]`. [`Strides`] describes other
//! layouts. A matrix narrower than three vectors uses one or two.

use super::simd::{Isa, SimdKernel, Vector};

/// The rows of a tile, and its columns (three vectors).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileSize {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Isa {
    /// The tile that fits the registers of this instruction set.
    pub(crate) fn tile(self) -> TileSize {
        match self {
            Isa::Avx512 => TileSize { rows: 8, cols: 48 },
            Isa::Avx2 => TileSize { rows: 4, cols: 24 },
            Isa::Neon => TileSize { rows: 8, cols: 12 },
            Isa::Portable => TileSize { rows: 4, cols: 12 },
        }
    }
}

/// The memory layout of a tile's operands: `a[r·a_row + k·a_k]`, `b[k·b_k + j]`, `c[r·c_row + j]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) a_row: usize,
    pub(crate) a_k: usize,
    pub(crate) b_k: usize,
    pub(crate) c_row: usize,
}

/// Whether a product adds to the numbers in `c`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Accumulate {
    /// The product replaces them.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// `c[r][j] = Σ_k a[r][k] · b[k][j]`, or `+=`, for one tile of `c` with one, two or three vectors of columns.
///
/// # Panics
/// If a slice is too short, or there are other than 1 to 3 vectors.
pub(crate) fn multiply_tile(
    isa: Isa,
    vectors: usize,
    k: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    strides: Strides,
    accumulate: Accumulate,
) {
    assert!(k > 0, "for an empty sum the caller clears c");
    let TileSize { rows, cols } = isa.tile();
    let (columns, Strides { a_row, a_k, b_k, c_row }) = (cols / 3 * vectors, strides);
    assert!(a.len() > (rows - 1) * a_row + (k - 1) * a_k && b.len() >= (k - 1) * b_k + columns);
    assert!((1..=3).contains(&vectors) && c.len() >= (rows - 1) * c_row + columns);
    isa.dispatch(Tile { vectors, k, a: a.as_ptr(), b: b.as_ptr(), c: c.as_mut_ptr(), strides, accumulate });
}

/// The product of one tile. `multiply_tile` checked how far the pointers reach.
struct Tile {
    vectors: usize,
    k: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    strides: Strides,
    accumulate: Accumulate,
}

impl SimdKernel for Tile {
    #[inline(always)]
    fn run<V: Vector>(self) {
        // SAFETY: `multiply_tile` checked the lengths.
        unsafe {
            match (V::ROWS, self.vectors) {
                (8, 1) => self.rows::<V, 8, 1>(),
                (8, 2) => self.rows::<V, 8, 2>(),
                (8, _) => self.rows::<V, 8, 3>(),
                (_, 1) => self.rows::<V, 4, 1>(),
                (_, 2) => self.rows::<V, 4, 2>(),
                (_, _) => self.rows::<V, 4, 3>(),
            }
        }
    }
}

impl Tile {
    /// # Safety
    /// At their strides, `a`, `b` and `c` hold ROWS × k, k × VECTORS·LANES and ROWS × VECTORS·LANES numbers.
    #[inline(always)]
    unsafe fn rows<V: Vector, const ROWS: usize, const VECTORS: usize>(self) {
        let Strides { a_row, a_k, b_k, c_row } = self.strides;
        // SAFETY: every offset below stays within the lengths that the caller guarantees.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for k in 0..self.k {
                let (column, line) = (self.a.add(k * a_k), self.b.add(k * b_k));
                let mut row = [V::splat(0.0); VECTORS];
                for v in 0..VECTORS {
                    row[v] = V::load(line.add(v * V::LANES));
                }
                for r in 0..ROWS {
                    let x = V::splat(*column.add(r * a_row));
                    for v in 0..VECTORS {
                        sums[r][v] = sums[r][v].add_product(x, row[v]);
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    let to = self.c.add(r * c_row + v * V::LANES);
                    match self.accumulate {
                        Accumulate::Overwrite => sums[r][v].store(to),
                        Accumulate::Add => V::load(to).add(sums[r][v]).store(to),
                    }
                }
            }
        }
    }
}
