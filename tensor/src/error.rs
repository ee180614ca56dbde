//! What the world can do wrong to a tensor. A programmer's wrong shape panics instead, with both shapes.

/// A failure of the machine that a tensor lives on.
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
}

/// A result whose error is the device's.
pub type Result<T> = std::result::Result<T, Error>;
