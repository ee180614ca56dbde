//! What can go wrong outside the program: one line each, naming the thing and the remedy.

/// A failure that the user, or the world, can mend.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The configuration or the command line asks for something that cannot be.
    #[error("{0}")]
    Config(String),
    /// A file or folder is missing, damaged or closed to us.
    #[error("{path}: {what}")]
    File {
        /// The path, as the user gave it.
        path: String,
        /// What was found, what was expected, what to do.
        what: String,
    },
    /// Training met a number that is not finite.
    #[error("{0}")]
    Diverged(String),
    /// A thread does not start, or broke down.
    #[error("{0}")]
    Thread(String),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] tensor::Error),
}

/// A result whose error is ours.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A configuration error, from its message.
    pub fn config(message: impl Into<String>) -> Error {
        Error::Config(message.into())
    }

    /// A file's error, from its path and what is wrong with it.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn file(path: &std::path::Path, what: impl std::fmt::Display) -> Error {
        Error::File { path: path.display().to_string(), what: what.to_string() }
    }

    /// The exit code that this deserves: 2 for what the user wrote, 1 for the world.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_) => 2,
            Error::File { .. } | Error::Diverged(_) | Error::Thread(_) | Error::Device(_) => 1,
        }
    }
}
