//! What a program changes in its own process. Libraries do not call this.

/// Keeps two messages that a user cannot act on off stderr. A program calls this once, first in `main`, before it starts threads
/// or opens a device:
///
/// - wgpu panics when it waits for a lost device. The panic is caught and becomes an error; a panic hook in front of the
///   program's own stops the message. All other panics are reported as before.
/// - On Linux, a layer of Mesa complains where there is no desktop session. The environment variable `NODEVICE_SELECT` switches
///   that layer off. Where threads already run, the variable stays as it is, since other code may be reading the environment.
///
/// Without this call everything works, with the messages.
pub fn prepare_process() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        #[cfg(not(target_arch = "wasm32"))]
        silence_caught_panics();
        #[cfg(target_os = "linux")]
        silence_mesa();
    });
}

#[cfg(not(target_arch = "wasm32"))]
fn silence_caught_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !crate::fault::is_catching() {
            before(panic);
        }
    }));
}

#[cfg(target_os = "linux")]
fn silence_mesa() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: this is the only thread of the process, so nothing reads the environment at the same time.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::{Arc, Mutex};

    use crate::fault::{catch_panic, lock};

    /// `tests/process.rs` tests the other message, in a process of its own.
    #[test]
    fn a_caught_panic_does_not_reach_the_program_s_hook() {
        let (seen, before) = (Arc::new(Mutex::new(String::new())), take_hook());
        let log = seen.clone();
        set_hook(Box::new(move |panic| {
            *lock(&log) += &panic.to_string();
            before(panic);
        }));
        super::silence_caught_panics();
        assert!(catch_panic(|| panic!("wgpu's own")).is_none());
        assert!(catch_unwind(|| panic!("of the program")).is_err());
        let seen = lock(&seen).clone();
        assert!(seen.contains("of the program") && !seen.contains("wgpu's own"), "{seen}");
    }
}
