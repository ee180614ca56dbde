//! The vector instructions that a kernel may use: detected at run time, or forced.
//!
//! The environment variable `TENSOR_ISA` (`avx512`, `avx2`, `neon` or `portable`) chooses them for a whole process, and
//! [`Isa::force`] for a part of one.
//!
//! An operation reads [`Isa::current`] once, on the calling thread, and passes it to its parallel parts. Simple inner loops are
//! ordinary Rust inside [`Isa::run`], which compiles them for every instruction set. Loops that keep values in vector registers (the
//! matrix tile, Winograd's transforms) are a [`SimdKernel`], written once for any [`Vector`].

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// A family of vector instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// The instructions that every processor of the target has.
    Portable,
    /// 64-bit Arm: 4 numbers per register.
    Neon,
    /// x86-64 since 2013: 8 numbers per register, fused multiply-add.
    Avx2,
    /// x86-64 servers, Zen 4 and later: 16 numbers per register, 32 registers.
    Avx512,
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

impl Isa {
    /// The families that this processor has, the widest last.
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.detected()).collect()
    }

    fn detected(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Isa::Avx2.detected() && is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// The one to use on this thread: the forced one, else [`Isa::preferred`].
    ///
    /// # Panics
    /// If `TENSOR_ISA` is set to what [`Isa::preferred`] refuses. A program asks that first, and reports its error.
    pub fn current() -> Isa {
        FORCED.get().unwrap_or_else(|| Isa::preferred().unwrap_or_else(|error| panic!("{error}")))
    }

    /// The one to use where none is forced: what the environment variable `TENSOR_ISA` says, else the widest there is. The
    /// variable is read once.
    ///
    /// # Errors
    /// If the variable names no instruction set, or one that this processor lacks.
    pub fn preferred() -> Result<Isa> {
        static PREFERRED: OnceLock<Result<Isa>> = OnceLock::new();
        PREFERRED
            .get_or_init(|| Isa::named(std::env::var_os("TENSOR_ISA").as_deref().map(OsStr::to_string_lossy)))
            .clone()
    }

    /// The available one of this name, or the widest if none is named.
    fn named(name: Option<Cow<'_, str>>) -> Result<Isa> {
        let available = Isa::available();
        let found = match &name {
            None => available.last().copied(),
            Some(name) => available.iter().copied().find(|isa| isa.to_string() == **name),
        };
        found.ok_or_else(|| Error::InstructionSet {
            wanted: name.unwrap_or_default().into_owned(),
            available: available.iter().map(Isa::to_string).collect::<Vec<_>>().join(", "),
        })
    }

    /// Runs `body` while this family is forced for every operation that the calling thread starts.
    ///
    /// # Panics
    /// If the processor does not have it.
    pub fn force<R>(self, body: impl FnOnce() -> R) -> R {
        struct Restore(Option<Isa>);
        impl Drop for Restore {
            fn drop(&mut self) {
                FORCED.set(self.0);
            }
        }
        assert!(self.detected(), "this processor has no {self:?}");
        let _restore = Restore(FORCED.replace(Some(self)));
        body()
    }

    /// Runs a closure compiled for these instructions. That holds only for code that the compiler inlines; for longer code use
    /// [`dispatch`](Isa::dispatch).
    #[inline(always)]
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` comes from `current`, which returns only detected ones (`available`, `force`).
            Isa::Avx512 => unsafe { x86::avx512(body) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 => unsafe { x86::avx2(body) },
            _ => body(),
        }
    }

    /// Runs a kernel on the registers of this instruction set.
    #[inline(always)]
    pub(crate) fn dispatch(self, kernel: impl SimdKernel) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Isa::Avx512 => unsafe { x86::avx512_kernel(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx2 => unsafe { x86::avx2_kernel(kernel) },
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => kernel.run::<std::arch::aarch64::float32x4_t>(),
            _ => kernel.run::<[f32; 4]>(),
        }
    }
}

/// The name as `TENSOR_ISA` takes it.
impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

/// A loop written for registers of any width. `run` and everything that it calls must be `#[inline(always)]`, so that it is compiled
/// for the instruction set of the caller.
pub(crate) trait SimdKernel {
    /// The loop. It is called only on a processor that has V's instructions.
    fn run<V: Vector>(self);
}

/// A vector register. Only a [`SimdKernel`] uses one, so the processor has its instructions.
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
        std::array::from_fn(|i| self[i] + other[i])
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] - other[i])
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i] * other[i])
    }
    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|i| self[i] + a[i] * b[i])
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

/// Prefetches `len` numbers from `first` on into the cache. Places outside the slice are allowed and have no effect.
#[inline(always)]
pub(crate) fn prefetch(numbers: &[f32], first: usize, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (first..first + len).step_by(16) {
        let from = numbers.as_ptr().wrapping_add(at).cast();
        // SAFETY: a prefetch reads nothing, wherever it points.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(from) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, first, len);
}

/// Implements [`Vector`] for a register type of `std::arch` from the names of its instructions.
#[allow(unused_macros)] // not every target has register types
macro_rules! register {
    ($type:ty, $lanes:literal lanes, $rows:literal rows of $vectors:literal, $splat:ident, $add:ident, $sub:ident, $mul:ident,
     |$c:ident, $a:ident, $b:ident| $fused:expr, $interleave:ident, $deinterleave:ident, $load:ident, $store:ident) => {
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
    use super::{SimdKernel, Vector};
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

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) fn avx512<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) fn avx512_kernel(kernel: impl SimdKernel) {
        kernel.run::<__m512>();
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2_kernel(kernel: impl SimdKernel) {
        kernel.run::<__m256>();
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

    register!(float32x4_t, 4 lanes, 8 rows of 3, vdupq_n_f32, vaddq_f32, vsubq_f32, vmulq_f32,
        |c, a, b| vfmaq_f32(c, a, b), interleave4, deinterleave4, vld1q_f32, vst1q_f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_set_is_found_by_its_name_or_refused() {
        let available = Isa::available();
        for isa in &available {
            assert_eq!(Isa::named(Some(isa.to_string().into())).unwrap(), *isa);
        }
        assert_eq!(Isa::named(None).unwrap(), *available.last().unwrap());
        let lacking = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        for name in ["", "AVX2", "sse9", lacking] {
            let error = Isa::named(Some(name.into())).unwrap_err().to_string();
            assert!(error.starts_with(&format!("TENSOR_ISA={name}: ")) && error.contains("portable"), "{error}");
        }
    }
}
