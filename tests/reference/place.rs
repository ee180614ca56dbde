//! Where a law is held: on the CPU with each set of vector instructions that it has, and on a GPU, which all tests of a
//! process share. A machine without one, not even in software, fails the tests: nothing is skipped in silence.

use std::fmt;
use std::sync::{Arc, OnceLock};

use gpu::{Context, Options};
use pollster::block_on;
use tensor::{Device, Isa, Tensor};

/// A device, and how it is to compute.
#[derive(Clone, Debug)]
pub enum Place {
    /// The CPU with this set of instructions.
    Cpu(Isa),
    /// The GPU that tests share.
    Gpu,
}

impl Place {
    /// All of this machine.
    pub fn all() -> impl Iterator<Item = Place> {
        Isa::available().into_iter().map(Place::Cpu).chain([Place::Gpu])
    }

    /// The device to put tensors on.
    pub fn device(&self) -> Device {
        match self {
            Place::Cpu(_) => Device::Cpu,
            Place::Gpu => gpu(),
        }
    }

    /// Runs `body` with this place's instructions.
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
        println!("at {place}"); // the harness shows it where the test fails
        place.run(|| test(&place.device()));
    }
}

/// The GPU that all tests of this process share, so that shaders are compiled once. It is opened with no more than what
/// every WebGPU device offers: eight buffers a kernel, 128 MiB a buffer.
///
/// # Panics
/// If there is none; with what to do about it.
pub fn gpu() -> Device {
    static SHARED: OnceLock<Arc<Context>> = OnceLock::new();
    let open = || {
        let options = Options { default_limits: true, checked: true, ..Options::default() };
        block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"))
    };
    Device::Gpu(SHARED.get_or_init(open).clone())
}

/// The tensor on the CPU, from wherever it is.
///
/// # Panics
/// If its device failed.
#[track_caller]
pub fn fetch(x: &Tensor) -> Tensor {
    block_on(x.to(&Device::Cpu)).unwrap_or_else(|error| panic!("{error}"))
}
