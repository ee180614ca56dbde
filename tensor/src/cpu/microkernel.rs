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
//! layouts. The tile below the present one follows it in a packed `a`, so it is prefetched. A [`Gather`] is an `a` that nobody has packed:
//! each number is read from its place in an image. At the edges of a matrix a tile has fewer rows or vectors.

use std::ops::Range;

use super::simd::{Isa, SimdKernel, Vector, prefetch_line};

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
    let left = Strided { a: a.as_ptr(), row: a_row, k: a_k };
    isa.dispatch(Tile { rows, vectors, k, left, b: b.as_ptr(), b_k, c: c.as_mut_ptr(), c_row, accumulate });
}

/// A left operand that stays where it is: `a[r][k] = data[rows[r] + steps[k]]`.
#[derive(Clone, Copy)]
pub(crate) struct Gather<'a> {
    data: &'a [f32],
    rows: &'a [usize],
    steps: &'a [usize],
}

impl<'a> Gather<'a> {
    /// # Panics
    /// If an index is beyond the data.
    pub(crate) fn new(data: &'a [f32], rows: &'a [usize], steps: &'a [usize]) -> Gather<'a> {
        let last = |of: &[usize]| of.iter().copied().max().unwrap_or(0);
        assert!(last(rows) + last(steps) < data.len(), "the pixels of a convolution are in its image");
        Gather { data, rows, steps }
    }

    /// The same for some rows and some steps.
    pub(crate) fn part(self, rows: Range<usize>, steps: Range<usize>) -> Gather<'a> {
        Gather { rows: &self.rows[rows], steps: &self.steps[steps], ..self }
    }
}

/// [`multiply_tile`] with a gathered left operand. `b[k·b_k + j]` and `c[r·c_row + j]` are as there.
///
/// # Panics
/// If a slice is too short, or the tile is larger than [`Isa::tile`].
pub(crate) fn multiply_gathered_tile(
    isa: Isa,
    a: Gather,
    vectors: usize,
    (b, b_k): (&[f32], usize),
    (c, c_row): (&mut [f32], usize),
    accumulate: Accumulate,
) {
    let (tile, k) = (isa.tile(), a.steps.len());
    assert!(k > 0, "for an empty sum the caller clears c");
    let (rows, columns) = (a.rows.len().next_multiple_of(2), tile.lanes * vectors);
    assert!((1..=tile.rows).contains(&rows) && (1..=tile.cols).contains(&columns));
    assert!(b.len() >= (k - 1) * b_k + columns && c.len() >= (rows - 1) * c_row + columns);
    let mut starts = [a.data.as_ptr(); MOST_ROWS];
    for (r, start) in starts[..rows].iter_mut().enumerate() {
        // A row that rounds the number up is the last one once more.
        *start = a.data[a.rows[r.min(a.rows.len() - 1)]..].as_ptr();
    }
    let left = Gathered { starts: &starts, steps: a.steps.as_ptr() };
    isa.dispatch(Tile { rows, vectors, k, left, b: b.as_ptr(), b_k, c: c.as_mut_ptr(), c_row, accumulate });
}

/// The rows of the largest tile.
const MOST_ROWS: usize = 8;

/// The left operand of a tile in memory.
trait Left: Copy {
    /// The number of row `r` at step `k`, in every lane.
    ///
    /// # Safety
    /// The operand has the row and the step.
    unsafe fn broadcast<V: Vector>(self, k: usize, r: usize) -> V;

    /// Prefetches the numbers of step `k` of the next operand in memory, which begins after the `steps` steps of this one.
    #[inline(always)]
    fn prefetch_next(self, _k: usize, _steps: usize) {}

    /// Whether whole registers hold the numbers of neighbouring rows at one step.
    #[inline(always)]
    fn packed(self) -> bool {
        false
    }

    /// A register of the numbers of LANES rows from `r` on, at step `k`, where they are packed.
    ///
    /// # Safety
    /// The operand has these rows and the step.
    #[inline(always)]
    unsafe fn load<V: Vector>(self, k: usize, r: usize) -> V {
        // SAFETY: the caller's promise.
        unsafe { self.broadcast(k, r) }
    }
}

#[derive(Clone, Copy)]
struct Strided {
    a: *const f32,
    row: usize,
    k: usize,
}

impl Left for Strided {
    #[inline(always)]
    unsafe fn broadcast<V: Vector>(self, k: usize, r: usize) -> V {
        // SAFETY: the caller's promise.
        V::splat(unsafe { *self.a.add(k * self.k + r * self.row) })
    }

    #[inline(always)]
    fn prefetch_next(self, k: usize, steps: usize) {
        prefetch_line(self.a.wrapping_add((steps + k) * self.k));
    }

    #[inline(always)]
    fn packed(self) -> bool {
        self.row == 1
    }

    #[inline(always)]
    unsafe fn load<V: Vector>(self, k: usize, r: usize) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load(self.a.add(k * self.k + r)) }
    }
}

/// The first number of each row, and the steps of the sum. The rows are borrowed: a copy of what was just written number by number would
/// be read as vectors, and such a read waits for all writes before it.
#[derive(Clone, Copy)]
struct Gathered<'a> {
    starts: &'a [*const f32; MOST_ROWS],
    steps: *const usize,
}

impl Left for Gathered<'_> {
    #[inline(always)]
    unsafe fn broadcast<V: Vector>(self, k: usize, r: usize) -> V {
        // SAFETY: the caller's promise.
        V::splat(unsafe { *self.starts[r].add(*self.steps.add(k)) })
    }
}

/// The product of one tile. Who made it checked how far the pointers reach.
struct Tile<L> {
    rows: usize,
    vectors: usize,
    k: usize,
    left: L,
    b: *const f32,
    b_k: usize,
    c: *mut f32,
    c_row: usize,
    accumulate: Accumulate,
}

impl<L: Left> SimdKernel for Tile<L> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        // SAFETY: the lengths were checked.
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

impl<L: Left> Tile<L> {
    /// # Safety
    /// The left operand, `b` and `c` hold ROWS × k, k × VECTORS·LANES and ROWS × VECTORS·LANES numbers.
    #[inline(always)]
    unsafe fn rows<V: Vector, const ROWS: usize, const VECTORS: usize>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            if V::BY_ELEMENT && ROWS.is_multiple_of(V::LANES) && self.left.packed() {
                self.sum::<V, ROWS, VECTORS, true>();
            } else {
                self.sum::<V, ROWS, VECTORS, false>();
            }
        }
    }

    /// The product. If `PACKED`, whole registers hold the numbers of a step.
    ///
    /// # Safety
    /// As for `rows`.
    #[inline(always)]
    unsafe fn sum<V: Vector, const ROWS: usize, const VECTORS: usize, const PACKED: bool>(self) {
        // SAFETY: every offset below stays within the lengths that the caller guarantees.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for k in 0..self.k {
                let line = self.b.add(k * self.b_k);
                self.left.prefetch_next(k, self.k);
                let mut row = [V::splat(0.0); VECTORS];
                for v in 0..VECTORS {
                    row[v] = V::load(line.add(v * V::LANES));
                }
                for r in 0..ROWS {
                    let x = if PACKED {
                        self.left.load::<V>(k, r / V::LANES * V::LANES).lane(r % V::LANES)
                    } else {
                        self.left.broadcast::<V>(k, r)
                    };
                    for v in 0..VECTORS {
                        sums[r][v] = sums[r][v].add_product(x, row[v]);
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    let to = self.c.add(r * self.c_row + v * V::LANES);
                    match self.accumulate {
                        Accumulate::Overwrite => sums[r][v].store(to),
                        Accumulate::Add => V::load(to).add(sums[r][v]).store(to),
                    }
                }
            }
        }
    }
}
