//! The one loop that does most of the arithmetic: a tile of a matrix product, held in registers.
//!
//! ```text
//!              b: one row of 3 vectors           c: ROWS × 3 vectors of sums, all in registers
//!   a: one     ┌────────┬────────┬────────┐
//!   column  a₀ │        │        │        │      for every k:  c[r][v] += a[k][r] · b[k][v]
//!   of ROWS a₁ │        │        │        │
//!   numbers …  └────────┴────────┴────────┘
//! ```
//! For every `k` it loads 3 vectors of `b`, spreads each number of `a` over a vector, and does 3·ROWS multiply-adds: enough
//! of them that neither the loads nor the latency of an addition (4 cycles, two units) is ever waited for. AVX-512 has 32
//! registers for 8 × 3 sums; AVX2 has 16 for 4 × 3.
//!
//! `a` and `b` come packed in the order in which they are read: `a[k][ROWS]`, `b[k][columns]`.

use super::simd::Isa;

/// The size of a tile: rows, and columns (three vectors).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TileSize {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Isa {
    /// The tile that fits this instruction set's registers.
    pub(crate) fn tile(self) -> TileSize {
        match self {
            Isa::Avx512 => TileSize { rows: 8, cols: 48 },
            Isa::Avx2 => TileSize { rows: 4, cols: 24 },
            Isa::Neon => TileSize { rows: 8, cols: 12 },
            Isa::Portable => TileSize { rows: 4, cols: 12 },
        }
    }
}

/// `c[r][j] += Σ_k a[k][r] · b[k][j]` for one tile of `c`, whose rows lie `stride` apart.
///
/// # Panics
/// If a slice is too short.
pub(crate) fn multiply_tile(isa: Isa, k: usize, a: &[f32], b: &[f32], c: &mut [f32], stride: usize) {
    let TileSize { rows, cols } = isa.tile();
    assert!(a.len() >= k * rows && b.len() >= k * cols && c.len() >= (rows - 1) * stride + cols);
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: the lengths were checked above; an Isa exists only where its instructions were detected.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86::tile_avx512(k, a, b, c, stride),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::tile_avx2(k, a, b, c, stride),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => tile::<std::arch::aarch64::float32x4_t, 8>(k, a, b, c, stride),
            _ => tile::<[f32; 4], 4>(k, a, b, c, stride),
        }
    }
}

/// A register of numbers.
///
/// # Safety
/// The caller must have the instructions, and `load` and `store` touch `LANES` numbers.
trait Vector: Copy {
    const LANES: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self + a·b`, rounded once where the machine can.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

/// # Safety
/// `a` holds `k·ROWS` numbers, `b` holds `k·3·LANES`, `c` has ROWS rows of `3·LANES` numbers `stride` apart.
#[inline(always)]
unsafe fn tile<V: Vector, const ROWS: usize>(k: usize, a: *const f32, b: *const f32, c: *mut f32, stride: usize) {
    // SAFETY: the caller's promise; every offset below stays within those lengths.
    unsafe {
        let mut sums = [[V::splat(0.0); 3]; ROWS];
        for k in 0..k {
            let row = b.add(k * 3 * V::LANES);
            let row = [V::load(row), V::load(row.add(V::LANES)), V::load(row.add(2 * V::LANES))];
            for r in 0..ROWS {
                let x = V::splat(*a.add(k * ROWS + r));
                for v in 0..3 {
                    sums[r][v] = sums[r][v].add_product(x, row[v]);
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..3 {
                let to = c.add(r * stride + v * V::LANES);
                V::load(to).add_product(V::splat(1.0), sums[r][v]).store(to);
            }
        }
    }
}

impl Vector for [f32; 4] {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Vector, tile};
    use std::arch::x86_64::*;

    /// # Safety
    /// As [`tile`], on a processor with AVX-512.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn tile_avx512(k: usize, a: *const f32, b: *const f32, c: *mut f32, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<__m512, 8>(k, a, b, c, stride) }
    }

    /// # Safety
    /// As [`tile`], on a processor with AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn tile_avx2(k: usize, a: *const f32, b: *const f32, c: *mut f32, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<__m256, 4>(k, a, b, c, stride) }
    }

    impl Vector for __m512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller has AVX-512.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller has AVX-512.
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }
    }

    impl Vector for __m256 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: the caller has AVX.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller has FMA.
            unsafe { _mm256_fmadd_ps(a, b, self) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl Vector for std::arch::aarch64::float32x4_t {
    const LANES: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { std::arch::aarch64::vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { std::arch::aarch64::vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { std::arch::aarch64::vst1q_f32(to, self) }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        // SAFETY: every 64-bit Arm has NEON.
        unsafe { std::arch::aarch64::vfmaq_f32(self, a, b) }
    }
}
