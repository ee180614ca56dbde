//! Errors of devices and of the system. A wrong shape is a mistake of the programmer; it panics and names both shapes.

/// A failure of the device that stores tensors and computes with them.
#[derive(Debug, Clone)]
pub enum Error {
    /// The device stopped, ran out of memory or refused a launch. All later work on it is lost.
    Device {
        /// The device's name.
        device: String,
        /// What happened, and what to do about it.
        what: String,
    },
    /// The system did not start the threads to compute with.
    Threads {
        /// The requested number; 0 stands for one thread per core.
        count: usize,
        /// The reason.
        what: String,
    },
    /// The environment variable `TENSOR_ISA` asks for vector instructions that this processor lacks, or that do not exist.
    InstructionSet {
        /// The variable's value.
        wanted: String,
        /// The values that this processor takes.
        available: String,
    },
    /// The environment variable `TENSOR_TRACE` has a value that does not exist.
    Trace {
        /// The variable's value.
        wanted: String,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Device { device, what } => write!(f, "{device}: {what}"),
            Error::Threads { count, what } => write!(f, "{count} threads: {what}"),
            Error::InstructionSet { wanted, available } => write!(
                f,
                "TENSOR_ISA={wanted}: this processor has no such instruction set; choose one of {available}, or unset the variable"
            ),
            Error::Trace { wanted } => write!(
                f,
                "TENSOR_TRACE={wanted}: choose 1 to print operations, 2 to print the source of kernels too, or unset the variable"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// A result whose error is a failure of a device or of the system.
pub type Result<T> = std::result::Result<T, Error>;
