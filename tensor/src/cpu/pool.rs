//! A pool of buffers. Every training step needs the same lengths again, and a new large allocation costs a page fault every 4 KiB.
//! A dropped buffer is therefore kept under its exact length for the next tensor of that length.
//!
//! Buffers in use and kept ones together hold at most the peak of what was in use, plus an eighth. The oldest kept buffer goes first.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Shorter buffers are not pooled.
const SMALLEST: usize = 1024;

/// The elements of a cache line. Buffers start at a line, so that no vector load crosses two.
const LINE: usize = 16;

/// The elements of one tensor. A dropped buffer returns to the pool.
pub(crate) struct CpuBuffer {
    data: Vec<f32>, // LINE longer than requested
    start: usize,
    len: usize,
}

impl CpuBuffer {
    /// A buffer of `len` elements that hold arbitrary numbers.
    #[inline(never)] // every operation contains a call
    pub(crate) fn take(len: usize) -> CpuBuffer {
        let kept = if len < SMALLEST { None } else { lock().take(len) };
        let data = kept.unwrap_or_else(|| vec![0.0; len + LINE]);
        let start = data.as_ptr().align_offset(4 * LINE);
        let mut buffer = CpuBuffer { data, start, len };
        if cfg!(debug_assertions) {
            buffer.fill(f32::NAN); // tests then notice an element that a kernel does not write
        }
        buffer
    }

    /// A new buffer with the same elements.
    pub(crate) fn copy(&self) -> CpuBuffer {
        let mut copy = CpuBuffer::take(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

/// Runs `body` with a temporary slice of `len` arbitrary numbers. Each thread keeps its own, so that small tasks do not wait for the
/// pool's lock.
pub(crate) fn scratch<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
    }
    // Removed from the list while in use, since `body` may itself call `scratch`.
    let mut data = KEPT.with_borrow_mut(Vec::pop).unwrap_or_default();
    if data.len() < len + LINE {
        data.resize(len + LINE, 0.0);
    }
    let start = data.as_ptr().align_offset(4 * LINE);
    let room = &mut data[start..start + len];
    if cfg!(debug_assertions) {
        room.fill(f32::NAN);
    }
    let result = body(room);
    KEPT.with_borrow_mut(|kept| kept.push(data));
    result
}

impl Drop for CpuBuffer {
    fn drop(&mut self) {
        if self.len >= SMALLEST {
            let evicted = lock().put(self.len, std::mem::take(&mut self.data));
            drop(evicted); // after the lock is released, since returning memory to the system takes time
        }
    }
}

impl Deref for CpuBuffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for CpuBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

#[derive(Default)]
struct Pool {
    waiting: HashMap<usize, Vec<(u64, Vec<f32>)>>, // by length, each with the time of its return
    clock: u64,
    held: usize, // elements in kept buffers
    used: usize, // elements in use
    peak: usize, // the most elements in use at once
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

/// The pool. No code that can panic runs under its lock, so it is consistent even if the lock is poisoned.
fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        self.used += len;
        self.peak = self.peak.max(self.used);
        let (_, data) = self.waiting.get_mut(&len)?.pop()?;
        self.held -= len;
        Some(data)
    }

    /// Keeps `data`, and returns the buffers that must be freed for it.
    fn put(&mut self, len: usize, data: Vec<f32>) -> Vec<Vec<f32>> {
        self.clock += 1;
        self.used -= len;
        self.held += len;
        self.waiting.entry(len).or_default().push((self.clock, data));
        let mut evicted = Vec::new();
        while self.used + self.held > self.peak + self.peak / 8 {
            let oldest = self.waiting.iter().filter_map(|(&len, list)| Some((list.first()?.0, len))).min();
            let Some((_, len)) = oldest else { break };
            self.held -= len;
            evicted.extend(self.waiting.get_mut(&len).map(|list| list.remove(0).1));
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_the_same_length_comes_back() {
        let mut pool = Pool::default();
        assert!(pool.take(5_000).is_none());
        let data = vec![0.0; 5_000];
        let address = data.as_ptr();
        pool.put(5_000, data);
        assert!(pool.take(4_999).is_none());
        assert_eq!(pool.take(5_000).map(|data| data.as_ptr()), Some(address));
    }

    #[test]
    fn buffers_start_on_a_cache_line() {
        assert!((1..2_000).step_by(77).all(|len| (CpuBuffer::take(len).as_ptr() as usize).is_multiple_of(64)));
    }

    #[test]
    fn the_pool_holds_little_more_than_the_busiest_moment_used() {
        let mut pool = Pool::default();
        for len in 5_000..5_100 {
            assert!(pool.take(len).is_none());
            pool.put(len, vec![0.0; len]);
            assert!(pool.held <= pool.peak + pool.peak / 8, "holds {} after a peak of {}", pool.held, pool.peak);
        }
    }
}
