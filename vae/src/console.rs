//! What programs write to the terminal. Results go to stdout, everything else to stderr.

use std::cell::RefCell;
use std::io::{Error, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Set in a process that follows another one.
static MUTE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The name of the run that this thread trains beside other runs.
    static LABEL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The first failure to write to stdout.
static FAILURE: OnceLock<Error> = OnceLock::new();

/// From now on [`say!`](crate::say) prints nothing and no progress is shown. Warnings, errors and [`print_line`] still print.
pub fn set_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// From now on nothing is printed at all, because another process prints the same.
pub fn mute() {
    set_quiet();
    MUTE.store(true, Ordering::Relaxed);
}

/// Whether [`mute`] was called.
pub fn is_mute() -> bool {
    MUTE.load(Ordering::Relaxed)
}

/// Whether [`set_quiet`] was called, or this thread is in [`labelled`].
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed) || LABEL.with_borrow(Option::is_some)
}

/// Does `work`, one of several things that are done at the same time. In it [`say!`](crate::say) prints nothing and no progress is shown;
/// what [`announce`] and [`eprint_line`] print begins with the label.
pub fn labelled<R>(label: &str, work: impl FnOnce() -> R) -> R {
    LABEL.set(Some(label.to_owned()));
    let result = work();
    LABEL.set(None);
    result
}

/// Prints a line, unless the program is quiet. Within [`labelled`] it is printed with the label.
pub fn announce(words: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        print_line(&with_label(words));
    }
}

fn with_label(words: &str) -> String {
    LABEL.with_borrow(|label| match label {
        Some(label) if !words.contains(label) => format!("{label}: {}", words.trim_start_matches('\n')),
        _ => words.to_owned(),
    })
}

/// Formats a line and writes it to stdout, unless the program is quiet.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        if !$crate::console::is_quiet() {
            $crate::console::print_line(&format!($($words)*));
        }
    };
}

/// Writes a line to stdout, quiet or not. If that fails, because the disk is full or nobody reads any more, the program goes on:
/// training must not be lost. [`finish_stdout`] reports the failure at the end.
pub fn print_line(line: &str) {
    if is_mute() {
        return;
    }
    note(write_stdout(&format!("{line}\n")));
}

/// Writes to stdout. If it was closed from the start (`>&-`), Rust's runtime has put `/dev/null` in its place, and the error is that
/// of a closed file.
///
/// # Errors
/// If nothing can be written there.
pub fn write_stdout(text: &str) -> std::io::Result<()> {
    const EBADF: i32 = 9;
    match gpu::stdout_was_closed() {
        true => Err(Error::from_raw_os_error(EBADF)),
        false => std::io::stdout().write_all(text.as_bytes()),
    }
}

/// Notes a failure to write to stdout, for [`finish_stdout`].
pub fn note(written: std::io::Result<()>) {
    if let Err(error) = written {
        let _ = FAILURE.set(error); // the first one counts
    }
}

/// Writes what is still waiting to stdout. Returns the first failure of the whole process to write there.
pub fn finish_stdout() -> Option<&'static Error> {
    note(std::io::stdout().flush());
    FAILURE.get()
}

/// Writes a line to stderr.
pub fn eprint_line(line: &str) {
    if is_mute() {
        return;
    }
    let _ = writeln!(std::io::stderr(), "{}", with_label(line));
}

/// Writes a warning to stderr.
pub fn warn(words: &str) {
    eprint_line(&format!("warning: {words}"));
}

/// Quotes a word for a shell, if it needs quotes.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::shell_quote;

    #[test]
    fn a_shell_reads_back_the_quoted_word() {
        let words = ["runs/a=1,b", "my run", "it's", ""].map(shell_quote);
        assert_eq!(words, ["runs/a=1,b", "'my run'", "'it'\\''s'", "''"]);
    }
}
