//! The places where operations are tested: the CPU with each of its instruction sets, and a GPU, which all tests of a process
//! share. A machine without any GPU, not even a software one, fails the tests, so that nothing is skipped silently. Only tests that are
//! compiled without the feature `gpu`, for another processor, do without.

use std::fmt;

use pollster::block_on;
use tensor::{Device, Isa, Tensor};

/// A device and its instruction set.
#[derive(Clone, Debug)]
pub enum Place {
    /// The CPU with this instruction set.
    Cpu(Isa),
    /// The shared GPU.
    Gpu,
}

impl Place {
    /// All places of this machine.
    pub fn all() -> impl Iterator<Item = Place> {
        Isa::available().into_iter().map(Place::Cpu).chain(cfg!(feature = "gpu").then_some(Place::Gpu))
    }

    /// The device of this place.
    pub fn device(&self) -> Device {
        match self {
            Place::Cpu(_) => Device::Cpu,
            Place::Gpu => gpu(),
        }
    }

    /// Runs `body` with this place's instruction set.
    pub fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        match self {
            Place::Cpu(isa) => isa.force(body),
            Place::Gpu => body(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Cpu(isa) => write!(f, "{isa:?}"),
            Place::Gpu => write!(f, "{}", gpu()),
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
#[cfg(feature = "gpu")]
pub fn gpu() -> Device {
    use gpu::{Context, Options};
    static SHARED: std::sync::OnceLock<std::sync::Arc<Context>> = std::sync::OnceLock::new();
    let open = || {
        let options = Options { default_limits: true, checked: true, ..Options::default() };
        block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"))
    };
    Device::Gpu(SHARED.get_or_init(open).clone())
}

/// No test asks for the GPU where there is none.
#[cfg(not(feature = "gpu"))]
fn gpu() -> Device {
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
