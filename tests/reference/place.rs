//! The places where operations are tested: the CPU with each of its instruction sets, and a GPU, which all tests of a process
//! share. A machine without any GPU, not even a software one, fails the tests, so that nothing is skipped silently.

use std::fmt;
use std::sync::{Arc, OnceLock};

use gpu::{Context, Options};
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
        Isa::available().into_iter().map(Place::Cpu).chain([Place::Gpu])
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
    static SHARED: OnceLock<Arc<Context>> = OnceLock::new();
    let open = || {
        let options = Options { default_limits: true, checked: true, ..Options::default() };
        block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"))
    };
    Device::Gpu(SHARED.get_or_init(open).clone())
}

/// Copies a tensor to the CPU.
///
/// # Panics
/// If its device has failed.
#[track_caller]
pub fn fetch(x: &Tensor) -> Tensor {
    block_on(x.to(&Device::Cpu)).unwrap_or_else(|error| panic!("{error}"))
}
