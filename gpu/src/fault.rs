//! Keeps the first failure of a device. All later work is lost, and every read returns that failure.

#[cfg(not(target_arch = "wasm32"))]
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tensor::{Error, Result};

/// The first failure, if there was one. It is shared with wgpu's callbacks.
#[derive(Debug)]
pub(crate) struct Fault {
    device: String,
    failed: AtomicBool, // whether `first` is set; every launch reads it, without a lock
    first: Mutex<Option<First>>,
    doing: Mutex<Option<String>>, // wgpu's errors do not say which buffer did not fit
    time_limit: Option<Duration>, // of a submission
    hangs: AtomicBool,
}

#[derive(Debug)]
struct First {
    error: Error,
    /// Whether wgpu refused a call. The cause may be that the device is lost, which wgpu tells later.
    refused: bool,
}

impl Fault {
    pub(crate) fn new(device: String, time_limit: Option<Duration>) -> Fault {
        let (first, doing) = (Mutex::new(None), Mutex::new(None));
        Fault { device, failed: AtomicBool::new(false), first, doing, time_limit, hangs: AtomicBool::new(false) }
    }

    /// Records this failure, unless there was an earlier one.
    pub(crate) fn record(&self, what: String) {
        lock(&self.first).get_or_insert_with(|| First { error: self.error(what), refused: false });
        self.failed.store(true, Ordering::Release);
    }

    fn error(&self, what: String) -> Error {
        Error::Device { device: self.device.clone(), what }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &*lock(&self.first) {
            Some(first) => Err(first.error.clone()),
            None => Ok(()),
        }
    }

    /// Runs a call that wgpu may refuse. The message of a failure will begin with `what`.
    pub(crate) fn while_doing<T>(&self, what: String, run: impl FnOnce() -> T) -> T {
        *lock(&self.doing) = Some(what);
        let result = run();
        *lock(&self.doing) = None;
        result
    }

    /// wgpu calls this with an error during the call that caused it. (In a browser it calls later, so `what` is missing.)
    pub(crate) fn report(&self, error: wgpu::Error) {
        let doing = lock(&self.doing).take().map(|what| what + ": ").unwrap_or_default();
        if let wgpu::Error::OutOfMemory { .. } = error {
            let advice = on_a_command_line(": lower train.batch_size, or use --device cpu");
            return self.record(format!("{doing}out of memory{advice}"));
        }
        let lines = error.to_string();
        let error = lines.lines().map(|line| line.trim().trim_end_matches(':')).filter(|line| !line.is_empty());
        let error = error.collect::<Vec<_>>().join(": ");
        let advice = on_a_command_line(": try --device cpu");
        let what = format!("{doing}{error}; this is a bug of this program or of the driver{advice}");
        lock(&self.first).get_or_insert_with(|| First { error: self.error(what), refused: true });
        self.failed.store(true, Ordering::Release);
    }

    /// Waits until a device has done a submission and those before it. If the device is lost meanwhile, wgpu calls the callback and
    /// then panics. Here that is a failure like any other, and so is a wait beyond the time limit.
    pub(crate) fn wait(&self, device: &wgpu::Device, submission_index: Option<wgpu::SubmissionIndex>) {
        if self.hangs() {
            return; // a second wait would take as long
        }
        let wait = wgpu::PollType::Wait { submission_index, timeout: self.time_limit };
        let polled = catch_panic(|| device.poll(wait));
        match polled {
            Some(Ok(_)) => {}
            Some(Err(wgpu::PollError::Timeout)) => {
                self.hangs.store(true, Ordering::Release);
                let seconds = self.time_limit.unwrap_or_default().as_secs_f64();
                self.record(format!(
                    "it did not finish its work within {seconds} s, so it hangs or has too much of it: lower \
                     train.batch_size, or use --device cpu"
                ));
            }
            Some(Err(error)) => self.record(format!("waiting for it failed ({error}): try again, or use --device cpu")),
            None => self.lost("while it was waited for"),
        }
    }

    /// Records that the device was lost, also in place of a refused call, which that explains.
    pub(crate) fn lost(&self, why: &str) {
        lock(&self.first).take_if(|first| first.refused);
        let why = why.trim_end_matches('.');
        let advice = on_a_command_line(", see the system's log");
        self.record(format!("the device was lost ({why}): its driver may have been reset{advice}"));
    }

    /// Whether the device did not finish its work in time.
    pub(crate) fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Acquire)
    }
}

#[cfg(not(target_arch = "wasm32"))]
thread_local!(static CATCHING: Cell<bool> = const { Cell::new(false) });

/// Whether this thread is inside [`catch_panic`].
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn is_catching() -> bool {
    CATCHING.get()
}

/// The result of `run`, or `None` if it panics. The program's panic hook runs as usual; see
/// [`prepare_process`](crate::prepare_process).
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    CATCHING.set(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    CATCHING.set(false);
    result.ok()
}

/// In a browser nothing waits for the device, and panics do not unwind.
#[cfg(target_arch = "wasm32")]
pub(crate) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    Some(run())
}

/// Advice about options of a command. A page in a browser has none, and offers buttons.
pub(crate) fn on_a_command_line(advice: &'static str) -> &'static str {
    if cfg!(target_arch = "wasm32") { "" } else { advice }
}

/// Takes a lock even if it is poisoned, so that a panic elsewhere does not cause a second one while tensors are dropped.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `3221225472` → `3072.0 MiB`, the form of sizes in errors.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_wgpu_is_a_failure_and_others_stay_panics() {
        crate::prepare_process();
        assert_eq!(catch_panic(|| 3), Some(3));
        assert_eq!((catch_panic(is_catching), is_catching()), (Some(true), false));
        assert_eq!(catch_panic(|| -> u32 { panic!("not to be seen: the device is lost") }), None);
        let fault = Fault::new("a device".into(), None);
        fault.lost("while it was waited for");
        let error = fault.check().expect_err("it is lost").to_string();
        assert!(error.starts_with("a device: the device was lost (while it was waited for): "), "{error}");
        assert!(std::panic::catch_unwind(|| panic!("seen")).is_err());
    }

    /// Only the first failure is kept, and every check returns it.
    #[test]
    fn the_first_failure_stays() {
        let fault = Fault::new("a device".into(), None);
        assert!(!fault.failed() && fault.check().is_ok());
        fault.while_doing("a tensor".into(), || ());
        let source = || -> Box<dyn std::error::Error + Send + Sync> { "no".into() };
        fault.report(wgpu::Error::Validation { source: source(), description: "a wrong binding".into() });
        fault.report(wgpu::Error::OutOfMemory { source: source() });
        fault.record("something else".into());
        assert!(fault.failed());
        for _ in 0..2 {
            let error = fault.check().unwrap_err().to_string();
            assert!(error.starts_with("a device: ") && error.contains("this is a bug of this program"), "{error}");
            assert!(!error.contains("a tensor") && !error.contains("something else"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        fault.lost("gone.");
        let error = fault.check().unwrap_err().to_string();
        assert!(error.starts_with("a device: the device was lost (gone): "), "{error}");
        fault.lost("gone again");
        assert_eq!(fault.check().unwrap_err().to_string(), error);
        assert_eq!([0, 1 << 19, 3 << 30].map(mebibytes), ["0.0 MiB", "0.5 MiB", "3072.0 MiB"]);
    }
}
