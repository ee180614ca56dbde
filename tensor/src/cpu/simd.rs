//! The vector instructions that a kernel may use: detected at run time, or forced.
//!
//! The environment variable `TENSOR_ISA` (`avx512`, `avx2`, `neon`, `simd128` or `portable`) chooses them for a whole process, and
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

pub(crate) use super::vector::Vector;
use crate::error::{Error, Result};

/// A family of vector instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// The instructions that every processor of the target has.
    Portable,
    /// WebAssembly: 4 numbers per register. A module has these instructions or not, as it was compiled
    /// (`-C target-feature=+simd128`), because an engine that lacks an instruction refuses the whole module.
    Simd128,
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
        let all = [Isa::Portable, Isa::Simd128, Isa::Neon, Isa::Avx2, Isa::Avx512];
        all.into_iter().filter(|isa| isa.detected()).collect()
    }

    fn detected(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
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
            _ => baseline(body),
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
            Isa::Neon => baseline(|| kernel.run::<std::arch::aarch64::float32x4_t>()),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128 => baseline(|| kernel.run::<std::arch::wasm32::v128>()),
            _ => baseline(|| kernel.run::<[f32; 4]>()),
        }
    }
}

/// Runs code that is compiled for the target's own instructions. This is a separate function, like those of the other instruction sets.
/// Otherwise a kernel would be compiled again in every function that contains the call.
#[inline(never)]
fn baseline<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// The name as `TENSOR_ISA` takes it.
impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Portable => "portable",
            Isa::Simd128 => "simd128",
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

/// Prefetches `len` numbers from `first` on into the cache. Places outside the slice are allowed and have no effect.
#[inline(always)]
pub(crate) fn prefetch(numbers: &[f32], first: usize, len: usize) {
    for at in (first..first + len).step_by(16) {
        prefetch_line(numbers.as_ptr().wrapping_add(at));
    }
}

/// Prefetches the cache line of an address, which may be any. Other processors than x86-64 do nothing.
#[inline(always)]
pub(crate) fn prefetch_line(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing, wherever it points.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The functions that a whole instruction set is enabled for: what they inline is compiled with it.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::SimdKernel;
    use std::arch::x86_64::{__m256, __m512};

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
