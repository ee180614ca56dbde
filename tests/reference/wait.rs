//! Waiting for a future. A thread sleeps; a browser's module, which has no thread to put to sleep, is suspended by whoever runs it.

use std::future::Future;

/// The result of a future.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

/// The result of a future.
///
/// # Panics
/// If it is not ready, and [`suspend_with`] was not called.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};

    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        SUSPEND.get().expect("something that lets the browser work")();
    }
}

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
static SUSPEND: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

/// Has [`block_on`] call this function while it waits. It returns after the browser has worked for a while.
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub fn suspend_with(suspend: fn()) {
    SUSPEND.get_or_init(|| suspend);
}
