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
    /// No page can be served at an address.
    #[error("{0}")]
    Address(String),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] tensor::Error),
}

/// A result whose error is ours.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A configuration error, from its message.
    pub fn config(message: impl Into<String>) -> Error {
        Error::Config(line(&message.into()))
    }

    /// A file's error, from its path and what is wrong with it.
    pub fn file(path: &std::path::Path, what: impl std::fmt::Display) -> Error {
        Error::File { path: line(&path.display().to_string()), what: line(&what.to_string()) }
    }

    /// The exit code that this deserves: 2 for what the user wrote, 1 for the world.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_) => 2,
            Error::File { .. } | Error::Diverged(_) | Error::Thread(_) | Error::Address(_) | Error::Device(_) => 1,
        }
    }
}

/// Letters of a message: whoever writes names into a file decides neither how long it is, nor what a terminal does with it.
const LONGEST: usize = 2_000;

/// What is said in one line: control characters, and those that end a line or turn its direction, are written as escapes.
pub fn line(text: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut line = String::new();
    for (place, c) in text.chars().enumerate() {
        match c {
            _ if place == LONGEST => return line + " …",
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
    fn a_message_is_one_line_whatever_names_are_in_it() {
        let told = Error::config("data/a\nb\u{1b}[2J\u{202e}c é µ").to_string();
        assert_eq!(told, "data/a\\nb\\u{1b}[2J\\u{202e}c é µ");
        let told = Error::config("é".repeat(1_000_000)).to_string();
        assert!(told.chars().count() == LONGEST + 2 && told.ends_with("é …"), "{}", told.len());
    }

    #[test]
    fn so_are_paths() {
        let told = Error::file(std::path::Path::new("a\nb.png"), "cannot\tbe read").to_string();
        assert_eq!(told, "a\\nb.png: cannot\\tbe read");
    }
}
