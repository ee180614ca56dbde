//! Errors that a user can cause or resolve. Each message is one line that names what is wrong and what to do.

/// An error that a user can resolve.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The configuration or the command line is invalid.
    #[error("{0}")]
    Config(String),
    /// A file or folder is missing, damaged or not accessible.
    #[error("{path}: {what}")]
    File {
        /// The path as the user wrote it.
        path: String,
        /// What is wrong with it and what to do.
        what: String,
    },
    /// Training produced a number that is not finite.
    #[error("{0}")]
    Diverged(String),
    /// A thread could not be started, or it panicked.
    #[error("{0}")]
    Thread(String),
    /// A server could not use its network address.
    #[error("{0}")]
    Address(String),
    /// Another process of the same training has ended, or differs from this one.
    #[error("{0}")]
    Rank(String),
    /// The device reported an error.
    #[error(transparent)]
    Device(#[from] tensor::Error),
}

/// A result with an [`Error`] of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Creates an [`Error::Config`] from its message.
    pub fn config(message: impl Into<String>) -> Error {
        Error::Config(single_line(&message.into()))
    }

    /// Creates an [`Error::File`] from a path and a description of the problem.
    pub fn file(path: &std::path::Path, what: impl std::fmt::Display) -> Error {
        Error::File { path: single_line(&path.display().to_string()), what: single_line(&what.to_string()) }
    }

    /// Adds what to do to the message of an [`Error::File`].
    pub fn with_advice(self, advice: &str) -> Error {
        match self {
            Error::File { path, what } => Error::File { path, what: single_line(&format!("{what}; {advice}")) },
            error => error,
        }
    }

    /// Returns the exit code of a program that ends with this error: 2 for invalid input by the user, 1 for everything
    /// else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_) => 2,
            Error::File { .. } | Error::Diverged(_) | Error::Thread(_) | Error::Address(_) => 1,
            Error::Rank(_) | Error::Device(_) => 1,
        }
    }
}

/// The maximum length of a message in characters. Messages may contain names from files, and those can be of any
/// length.
const MAX_CHARS: usize = 2_000;

/// Returns the text as one line. Control characters, line separators and characters that change the text direction are
/// escaped. The result is cut off after 2,000 characters.
pub fn single_line(text: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut line = String::new();
    for (index, c) in text.chars().enumerate() {
        match c {
            _ if index == MAX_CHARS => return line + " …",
            c if moves(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_names_it_contains() {
        let message = Error::config("data/a\nb\u{1b}[2J\u{202e}c é µ").to_string();
        assert_eq!(message, "data/a\\nb\\u{1b}[2J\\u{202e}c é µ");
        let message = Error::config("é".repeat(1_000_000)).to_string();
        assert!(message.chars().count() == MAX_CHARS + 2 && message.ends_with("é …"), "{}", message.len());
    }

    #[test]
    fn a_path_is_one_line_too() {
        let message = Error::file(std::path::Path::new("a\nb.png"), "cannot\tbe read").to_string();
        assert_eq!(message, "a\\nb.png: cannot\\tbe read");
    }
}
