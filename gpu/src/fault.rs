//! The first failure of a device, kept: everything after it is void, and every read says why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tensor::{Error, Result};

/// What went wrong first, if anything; shared with wgpu's callbacks.
#[derive(Debug)]
pub(crate) struct Fault {
    device: String,
    failed: AtomicBool, // what `first` says, without a lock: every launch asks
    first: Mutex<Option<Error>>,
    doing: Mutex<Option<String>>, // wgpu does not say which buffer it has no memory for
}

impl Fault {
    pub(crate) fn new(device: String) -> Fault {
        Fault { device, failed: AtomicBool::new(false), first: Mutex::new(None), doing: Mutex::new(None) }
    }

    /// Keeps this failure, unless there was one before.
    pub(crate) fn stick(&self, what: String) {
        lock(&self.first).get_or_insert_with(|| Error::Device { device: self.device.clone(), what });
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &*lock(&self.first) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Runs something that wgpu may refuse; the failure will begin with `what`.
    pub(crate) fn doing<T>(&self, what: String, run: impl FnOnce() -> T) -> T {
        *lock(&self.doing) = Some(what);
        let result = run();
        *lock(&self.doing) = None;
        result
    }

    /// What wgpu calls with an error, while it runs the call that caused it (in a browser: later, so nothing is named).
    pub(crate) fn report(&self, error: wgpu::Error) {
        let doing = lock(&self.doing).take().map(|what| what + ": ").unwrap_or_default();
        self.stick(match error {
            wgpu::Error::OutOfMemory { .. } => {
                format!("{doing}out of memory: lower train.batch_size, or use --device cpu")
            }
            error => format!("{doing}{error}; this is a bug of this program or of the driver: try --device cpu"),
        });
    }

    pub(crate) fn lost(&self, why: &str) {
        self.stick(format!("the device was lost ({why}): look into the system's log, resume from the last checkpoint"));
    }
}

/// A panic elsewhere must not become a second one while tensors are dropped: what the lock guards stays usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `3221225472` → `3072.0 MiB`, as errors give sizes.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
