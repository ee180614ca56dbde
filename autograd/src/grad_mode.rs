//! Whether operations record a history.

use std::cell::Cell;

thread_local! {
    static ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Runs `body` without recording a history on this thread. Every result is a constant, and nothing is saved for a backward pass.
pub fn no_grad<R>(body: impl FnOnce() -> R) -> R {
    with(false, body)
}

/// Runs `body` with a history that is recorded, or not, on this thread.
pub(crate) fn with<R>(recorded: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ENABLED.set(self.0);
        }
    }
    let _restore = Restore(ENABLED.replace(recorded));
    body()
}

pub(crate) fn enabled() -> bool {
    ENABLED.get()
}
