//! The loop that does most of the arithmetic: a tile of a matrix product in registers.
//!
//! ```text
//!              b: one row of vectors             c: ROWS × VECTORS vectors of sums, all in registers
//!   a: one     ┌────────┬────────┬────────┐
//!   column  a₀ │        │        │        │      for every k:  c[r][v] += a[k][r] · b[k][v]
//!   of ROWS a₁ │        │        │        │
//!   numbers …  └────────┴────────┴────────┘
//! ```
//! For every `k` it loads a row of `b`, broadcasts each number of `a` to a vector, and does a multiply-add for each sum. There must be
//! at least as many sums as hide the latency of a multiply-add (4 cycles on two units, so 8), and the sums, the row and one broadcast
//! must fit the registers:
//!
//! ```text
//!   AVX-512   8 × 3 + 3 + 1 of 32       AVX2   6 × 2 + 2 + 1 of 16       NEON   8 × 3 + 3 + 2 of 32
//! ```
//! WebAssembly runs on any processor, so its engine must fit the tile into the 16 registers of x86-64, of which it keeps one for itself.
//! It has no fused multiply-add, so a product takes a register too: 4 × 2 + 2 + 1 + 1. With 6 × 2 sums, Node takes a fifth longer.
//! NEON multiplies by one element of a register, so there a column of `a` is loaded as two registers, and nothing is broadcast.
//! AVX2 with 4 × 3 sums would use all of its 16 registers. The compiler then keeps one sum in memory, and the loop takes 12 cycles instead
//! of 6.
//!
//! `a` and `b` are usually packed in the order in which they are read, `a[k][ROWS]` and `b[k][columns]`. [`Strides`] describes other
//! layouts. At the edges of a matrix a tile has fewer rows or vectors.

use super::simd::{Isa, SimdKernel, Vector};

/// The rows of a tile, its columns, and the columns of one vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileSize {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) lanes: usize,
}

impl Isa {
    /// The tile that fits the registers of this instruction set.
    pub(crate) fn tile(self) -> TileSize {
        struct Size<'a>(&'a mut TileSize);
        impl SimdKernel for Size<'_> {
            #[inline(always)]
            fn run<V: Vector>(self) {
                *self.0 = TileSize { rows: V::ROWS, cols: V::VECTORS * V::LANES, lanes: V::LANES };
            }
        }
        let mut size = TileSize { rows: 0, cols: 0, lanes: 0 };
        self.dispatch(Size(&mut size));
        size
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

/// `c[r][j] = Σ_k a[r][k] · b[k][j]`, or `+=`, for one tile of `c` with some rows and vectors of columns. An odd number of rows is
/// rounded up.
///
/// # Panics
/// If a slice is too short, or the tile is larger than [`Isa::tile`].
pub(crate) fn multiply_tile(
    isa: Isa,
    [rows, vectors]: [usize; 2],
    k: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    strides: Strides,
    accumulate: Accumulate,
) {
    assert!(k > 0, "for an empty sum the caller clears c");
    let tile = isa.tile();
    let (rows, columns) = (rows.next_multiple_of(2), tile.lanes * vectors);
    let Strides { a_row, a_k, b_k, c_row } = strides;
    assert!((1..=tile.rows).contains(&rows) && (1..=tile.cols).contains(&columns));
    assert!(a.len() > (rows - 1) * a_row + (k - 1) * a_k && b.len() >= (k - 1) * b_k + columns);
    assert!(c.len() >= (rows - 1) * c_row + columns);
    isa.dispatch(Tile { rows, vectors, k, a: a.as_ptr(), b: b.as_ptr(), c: c.as_mut_ptr(), strides, accumulate });
}

/// The product of one tile. `multiply_tile` checked how far the pointers reach.
struct Tile {
    rows: usize,
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
            match (self.rows, self.vectors) {
                (8, 3) if V::ROWS == 8 => self.rows::<V, 8, 3>(),
                (8, 2) if V::ROWS == 8 => self.rows::<V, 8, 2>(),
                (8, _) => self.rows::<V, 8, 1>(),
                (6, 3) if V::VECTORS == 3 => self.rows::<V, 6, 3>(),
                (6, 2) => self.rows::<V, 6, 2>(),
                (6, _) => self.rows::<V, 6, 1>(),
                (4, 3) if V::VECTORS == 3 => self.rows::<V, 4, 3>(),
                (4, 2) => self.rows::<V, 4, 2>(),
                (4, _) => self.rows::<V, 4, 1>(),
                (_, 3) if V::VECTORS == 3 => self.rows::<V, 2, 3>(),
                (_, 2) => self.rows::<V, 2, 2>(),
                (_, _) => self.rows::<V, 2, 1>(),
            }
        }
    }
}

impl Tile {
    /// # Safety
    /// At their strides, `a`, `b` and `c` hold ROWS × k, k × VECTORS·LANES and ROWS × VECTORS·LANES numbers.
    #[inline(always)]
    unsafe fn rows<V: Vector, const ROWS: usize, const VECTORS: usize>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            if V::BY_ELEMENT && ROWS.is_multiple_of(V::LANES) && self.strides.a_row == 1 {
                self.sum::<V, ROWS, VECTORS, true>();
            } else {
                self.sum::<V, ROWS, VECTORS, false>();
            }
        }
    }

    /// The product. If `PACKED`, the numbers of a column of `a` are adjacent, and whole registers of them.
    ///
    /// # Safety
    /// As for `rows`.
    #[inline(always)]
    unsafe fn sum<V: Vector, const ROWS: usize, const VECTORS: usize, const PACKED: bool>(self) {
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
                    let x = if PACKED {
                        V::load(column.add(r / V::LANES * V::LANES)).lane(r % V::LANES)
                    } else {
                        V::splat(*column.add(r * a_row))
                    };
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
