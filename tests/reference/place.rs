//! The places where operations are tested: the CPU with each of its instruction sets, and a GPU, which all tests of a process
//! share. A machine without any GPU, not even a software one, fails the tests, so that nothing is skipped silently. Only tests that are
//! compiled without the feature `gpu`, for another processor, do without.

use std::cell::Cell;
use std::fmt;

use tensor::{Device, Isa, Tensor};

use crate::wait::block_on;

thread_local! {
    static GPUS: Cell<&'static [Place]> = const { Cell::new(&[Place::Gpu]) };
}

/// Runs `body` while laws that the calling thread tests hold on these GPUs, instead of the one with the least limits alone.
pub fn on_gpus<R>(gpus: &'static [Place], body: impl FnOnce() -> R) -> R {
    struct Restore(&'static [Place]);
    impl Drop for Restore {
        fn drop(&mut self) {
            GPUS.set(self.0);
        }
    }
    let _restore = Restore(GPUS.replace(gpus));
    body()
}

/// A device and its instruction set.
#[derive(Clone, Debug)]
pub enum Place {
    /// The CPU with this instruction set.
    Cpu(Isa),
    /// The shared GPU with WebGPU's guaranteed limits.
    Gpu,
    /// The shared GPU with all limits that it has, for which some operations have other kernels.
    LargeGpu,
}

impl Place {
    /// The places where laws are tested: the CPU with each instruction set, and GPUs as [`on_gpus`] says.
    pub fn all() -> impl Iterator<Item = Place> {
        let gpus = if cfg!(feature = "gpu") { GPUS.get() } else { &[] };
        Isa::available().into_iter().map(Place::Cpu).chain(gpus.iter().cloned())
    }

    /// The device of this place.
    pub fn device(&self) -> Device {
        match self {
            Place::Cpu(_) => Device::Cpu,
            Place::Gpu => gpu(),
            Place::LargeGpu => large_gpu(),
        }
    }

    /// Runs `body` with this place's instruction set.
    pub fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        match self {
            Place::Cpu(isa) => isa.force(body),
            Place::Gpu | Place::LargeGpu => body(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Cpu(isa) => write!(f, "{isa:?}"),
            Place::Gpu => write!(f, "{} with the least limits", gpu()),
            Place::LargeGpu => write!(f, "{} with all its limits", large_gpu()),
        }
    }
}

/// The CPU and the GPU.
pub fn devices() -> impl Iterator<Item = Device> {
    std::iter::once(Device::Cpu).chain(cfg!(feature = "gpu").then(gpu))
}

/// Runs `test` at every place, on its device.
pub fn everywhere(test: impl Fn(&Device)) {
    for place in Place::all() {
        println!("at {place}"); // the harness prints it if the test fails
        place.run(|| test(&place.device()));
    }
}

/// Returns the GPU that all tests of this process share, so that shaders are compiled once. It has only WebGPU's guaranteed
/// limits: eight buffers per kernel, 128 MiB per buffer.
///
/// # Panics
/// If there is no GPU. The message says what to do.
pub fn gpu() -> Device {
    shared(true)
}

/// Returns the same GPU with all its limits, which all tests of this process share too. Kernels run without checks of indices.
///
/// # Panics
/// If there is no GPU.
pub fn large_gpu() -> Device {
    shared(false)
}

#[cfg(feature = "gpu")]
fn shared(least: bool) -> Device {
    use std::sync::{Arc, OnceLock};

    use gpu::{Context, Options};

    static LEAST: OnceLock<Arc<Context>> = OnceLock::new();
    static LARGE: OnceLock<Arc<Context>> = OnceLock::new();
    let options = Options { default_limits: least, checked: least, ..Options::default() };
    let open = || block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"));
    Device::Gpu(if least { &LEAST } else { &LARGE }.get_or_init(open).clone())
}

/// No test asks for the GPU where there is none.
#[cfg(not(feature = "gpu"))]
fn shared(_: bool) -> Device {
    unreachable!("these tests were compiled without the feature `gpu`")
}

/// Copies a tensor to the CPU.
///
/// # Panics
/// If its device has failed.
#[track_caller]
pub fn fetch(x: &Tensor) -> Tensor {
    block_on(x.to(&Device::Cpu)).unwrap_or_else(|error| panic!("{error}"))
}
