//! What a program changes in its own process, and what it was given at its start. Libraries do not call this.

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

/// Whether standard output was closed when the process started, as by `>&-` in a shell. `main` cannot tell: before it begins, Rust's
/// runtime opens `/dev/null` in the place of what is closed. Always `false` on Windows and in a browser.
pub fn stdout_was_closed() -> bool {
    #[cfg(unix)]
    return start::STDOUT_CLOSED.load(std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(unix))]
    false
}

#[cfg(unix)]
mod start {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

    unsafe extern "C" {
        fn fcntl(descriptor: c_int, command: c_int, ...) -> c_int;
    }

    /// Asks for the flags of standard output, which only fails if it is closed.
    extern "C" fn look() {
        const STDOUT: c_int = 1;
        const F_GETFD: c_int = 1;
        // SAFETY: the declaration is POSIX's. F_GETFD takes no further argument and changes nothing.
        let flags = unsafe { fcntl(STDOUT, F_GETFD) };
        STDOUT_CLOSED.store(flags == -1, Ordering::Relaxed);
    }

    /// The system calls the functions in this section before Rust's runtime begins.
    #[used]
    // SAFETY: the section holds pointers to functions without arguments, and `look` uses nothing of the runtime.
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static AT_START: extern "C" fn() = look;
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
