//! What the world can do wrong to a tensor. A programmer's wrong shape panics instead, with both shapes.

/// A failure of the machine that tensors live and are computed on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The device stopped, ran out of memory or refused a launch; later work on it is void.
    #[error("{device}: {what}")]
    Device {
        /// The device's name.
        device: String,
        /// What happened, and what to do about it.
        what: String,
    },
    /// The system would not start the threads to compute with.
    #[error("{count} threads: {what}")]
    Threads {
        /// How many were asked for; 0 is one a core.
        count: usize,
        /// Why not.
        what: String,
    },
    /// The environment variable `TENSOR_ISA` asks for vector instructions that this processor lacks, or that do not exist.
    #[error(
        "TENSOR_ISA={wanted}: this processor has no such instruction set; choose one of {available}, or unset the variable"
    )]
    InstructionSet {
        /// The variable's value.
        wanted: String,
        /// The values that this processor takes.
        available: String,
    },
}

/// A result whose error is the machine's.
pub type Result<T> = std::result::Result<T, Error>;
