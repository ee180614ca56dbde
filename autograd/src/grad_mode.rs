//! Whether operations record a history.

use std::cell::Cell;

use crate::scoped;

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Runs `body` without recording a history on this thread. Every result is a constant, and nothing is saved for a backward pass.
pub fn no_grad<R>(body: impl FnOnce() -> R) -> R {
    with(false, body)
}

/// Runs `body` with a history that is recorded, or not, on this thread.
pub(crate) fn with<R>(recorded: bool, body: impl FnOnce() -> R) -> R {
    scoped::with(&ENABLED, recorded, body)
}

pub(crate) fn enabled() -> bool {
    ENABLED.get()
}
