//! Which vector instructions a kernel may use: found out at run time, or forced.
//!
//! A kernel reads [`Isa::current`] once, on the thread that calls it, and hands it to its parallel parts. Inner loops are
//! ordinary Rust inside [`Isa::run`], which compiles them once for every instruction set; only the matrix tile
//! (`microkernel.rs`) names registers.

use std::cell::Cell;
use std::sync::OnceLock;

/// A family of vector instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// What every processor of the compiled-for kind has.
    Portable,
    /// 64-bit Arm: 4 numbers at once.
    Neon,
    /// x86-64 since 2013: 8 numbers at once, fused multiply-add.
    Avx2,
    /// x86-64 servers, Zen 4 and later: 16 numbers at once, 32 registers.
    Avx512,
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

impl Isa {
    /// Those that this processor has, the widest last.
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

    /// The one to use on this thread: the forced one, else the widest there is.
    pub fn current() -> Isa {
        static WIDEST: OnceLock<Isa> = OnceLock::new();
        FORCED
            .get()
            .unwrap_or_else(|| *WIDEST.get_or_init(|| *Isa::available().last().expect("Portable is always there")))
    }

    /// Runs `body` with this one forced for every operation that the calling thread starts.
    ///
    /// # Panics
    /// If the processor lacks it.
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

    /// Runs a loop compiled for these instructions.
    #[inline(always)]
    pub(crate) fn run<R>(self, body: impl FnOnce() -> R) -> R {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an Avx512 exists only where it was detected (`available`, `force`).
            Isa::Avx512 => unsafe { avx512(body) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: likewise.
            Isa::Avx2 => unsafe { avx2(body) },
            _ => body(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}
