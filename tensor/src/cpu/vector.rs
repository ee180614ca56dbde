//! A vector register of any instruction set, as a [`SimdKernel`](super::simd::SimdKernel) sees it.
//!
//! Each instruction set implements [`Vector`] for its register type of `std::arch`; `[f32; 4]` stands for a processor without any. The
//! size of a matrix tile (`microkernel.rs`) depends on the number of registers, so it is written here too.

/// The numbers of the widest register.
pub(crate) const MOST_LANES: usize = 16;

/// A vector register. Only a kernel uses one, so the processor has its instructions.
pub(crate) trait Vector: Copy {
    /// The numbers in a register.
    const LANES: usize;
    /// The rows of a matrix tile.
    const ROWS: usize;
    /// The vectors in a row of a matrix tile, each of which takes a register for its sums.
    const VECTORS: usize;
    fn splat(x: f32) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Whether a multiply-add takes one number of a register for all lanes at no cost. Then a register of numbers is loaded at once;
    /// otherwise each is broadcast as it is loaded.
    const BY_ELEMENT: bool = false;
    /// The number at place `i` in all lanes, where [`BY_ELEMENT`](Vector::BY_ELEMENT) is set.
    #[inline(always)]
    fn lane(self, _i: usize) -> Self {
        self
    }
    /// `self + a·b`, rounded once if the processor has a fused multiply-add.
    fn add_product(self, a: Self, b: Self) -> Self;
    /// a₀ b₀ a₁ b₁ … in two registers.
    fn interleave(self, other: Self) -> [Self; 2];
    /// The numbers at even and at odd places of two registers: the inverse of `interleave`.
    fn deinterleave(self, other: Self) -> [Self; 2];
    /// # Safety
    /// `from` is valid for reading LANES numbers.
    unsafe fn load(from: *const f32) -> Self;
    /// # Safety
    /// `to` is valid for writing LANES numbers.
    unsafe fn store(self, to: *mut f32);

    /// The first LANES numbers of a slice.
    #[inline(always)]
    fn read(from: &[f32]) -> Self {
        assert!(from.len() >= Self::LANES);
        // SAFETY: as many are there.
        unsafe { Self::load(from.as_ptr()) }
    }

    /// Overwrites the first LANES numbers of a slice.
    #[inline(always)]
    fn write(self, to: &mut [f32]) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: as many are there.
        unsafe { self.store(to.as_mut_ptr()) }
    }
}

/// The lanes are spelled out. `array::from_fn` would give the compiler twenty times as much to inline, in every kernel.
impl Vector for [f32; 4] {
    const LANES: usize = 4;
    const ROWS: usize = 6;
    const VECTORS: usize = 2;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        [x; 4]
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self, other);
        [a + e, b + f, c + g, d + h]
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self, other);
        [a - e, b - f, c - g, d - h]
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self, other);
        [a * e, b * f, c * g, d * h]
    }
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        self.add(a.mul(b))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let ([a, b, c, d], [e, f, g, h]) = (self, other);
        [[a, e, b, f], [c, g, d, h]]
    }
    #[inline(always)]
    fn deinterleave(self, other: Self) -> [Self; 2] {
        let ([a, b, c, d], [e, f, g, h]) = (self, other);
        [[a, c, e, g], [b, d, f, h]]
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
}

/// Implements [`Vector`] for a register type of `std::arch` from the names of its instructions.
#[allow(unused_macros)] // not every target has register types
macro_rules! register {
    ($type:ty, $lanes:literal lanes, $rows:literal rows of $vectors:literal, $splat:ident, $add:ident, $sub:ident, $mul:ident,
     |$c:ident, $a:ident, $b:ident| $fused:expr, $interleave:ident, $deinterleave:ident, $load:ident, $store:ident $(, $lane:ident)?) => {
        #[allow(unused_unsafe)] // the instructions of WebAssembly are safe functions
        impl Vector for $type {
            const LANES: usize = $lanes;
            const ROWS: usize = $rows;
            const VECTORS: usize = $vectors;
            #[inline(always)]
            fn splat(x: f32) -> Self {
                // SAFETY: a SimdKernel runs only on a processor that has these instructions. The same holds below.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $sub(self, other) }
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { $mul(self, other) }
            }
            #[inline(always)]
            fn add_product(self, $a: Self, $b: Self) -> Self {
                let $c = self;
                // SAFETY: as above.
                unsafe { $fused }
            }
            $(
                const BY_ELEMENT: bool = true;
                #[inline(always)]
                fn lane(self, i: usize) -> Self {
                    // SAFETY: as above.
                    unsafe { $lane(self, i) }
                }
            )?
            #[inline(always)]
            fn interleave(self, other: Self) -> [Self; 2] {
                // SAFETY: as above.
                unsafe { $interleave(self, other) }
            }
            #[inline(always)]
            fn deinterleave(self, other: Self) -> [Self; 2] {
                // SAFETY: as above.
                unsafe { $deinterleave(self, other) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as above, and the caller's promise.
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above, and the caller's promise.
                unsafe { $store(to, self) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    register!(__m512, 16 lanes, 8 rows of 3, _mm512_set1_ps, _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps,
        |c, a, b| _mm512_fmadd_ps(a, b, c), interleave16, deinterleave16, _mm512_loadu_ps, _mm512_storeu_ps);
    register!(__m256, 8 lanes, 6 rows of 2, _mm256_set1_ps, _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps,
        |c, a, b| _mm256_fmadd_ps(a, b, c), interleave8, deinterleave8, _mm256_loadu_ps, _mm256_storeu_ps);

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn interleave16(a: __m512, b: __m512) -> [__m512; 2] {
        let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
        [_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b)]
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn deinterleave16(a: __m512, b: __m512) -> [__m512; 2] {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn interleave8(a: __m256, b: __m256) -> [__m256; 2] {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)); // within each half
        [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn deinterleave8(a: __m256, b: __m256) -> [__m256; 2] {
        let (low, high) = (_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
        [_mm256_shuffle_ps::<0x88>(low, high), _mm256_shuffle_ps::<0xdd>(low, high)]
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::Vector;
    use std::arch::aarch64::*;

    #[inline]
    #[target_feature(enable = "neon")]
    fn interleave4(a: float32x4_t, b: float32x4_t) -> [float32x4_t; 2] {
        [vzip1q_f32(a, b), vzip2q_f32(a, b)]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn deinterleave4(a: float32x4_t, b: float32x4_t) -> [float32x4_t; 2] {
        [vuzp1q_f32(a, b), vuzp2q_f32(a, b)]
    }

    /// With a constant `i`, the compiler makes it part of the multiply-add.
    #[inline]
    #[target_feature(enable = "neon")]
    fn lane4(x: float32x4_t, i: usize) -> float32x4_t {
        match i {
            0 => vdupq_laneq_f32::<0>(x),
            1 => vdupq_laneq_f32::<1>(x),
            2 => vdupq_laneq_f32::<2>(x),
            _ => vdupq_laneq_f32::<3>(x),
        }
    }

    register!(float32x4_t, 4 lanes, 8 rows of 3, vdupq_n_f32, vaddq_f32, vsubq_f32, vmulq_f32,
        |c, a, b| vfmaq_f32(c, a, b), interleave4, deinterleave4, vld1q_f32, vst1q_f32, lane4);
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm {
    use super::Vector;
    use std::arch::wasm32::*;

    #[inline(always)]
    fn interleave4(a: v128, b: v128) -> [v128; 2] {
        [i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b)]
    }

    #[inline(always)]
    fn deinterleave4(a: v128, b: v128) -> [v128; 2] {
        [i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b)]
    }

    /// # Safety
    /// As [`Vector::load`].
    #[inline(always)]
    unsafe fn load(from: *const f32) -> v128 {
        // SAFETY: the caller's promise.
        unsafe { v128_load(from.cast()) }
    }

    /// # Safety
    /// As [`Vector::store`].
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: v128) {
        // SAFETY: the caller's promise.
        unsafe { v128_store(to.cast(), x) }
    }

    register!(v128, 4 lanes, 4 rows of 2, f32x4_splat, f32x4_add, f32x4_sub, f32x4_mul,
        |c, a, b| f32x4_add(c, f32x4_mul(a, b)), interleave4, deinterleave4, load, store);
}
