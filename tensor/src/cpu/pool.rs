//! Buffers kept between steps. A training step asks for the same lengths again and again, and fresh large allocations cost
//! a page fault every 4 KiB, so a dropped buffer waits here under its exact length for the next one who asks.
//!
//! The pool holds at most what was in use at once at the busiest moment, and an eighth more; what has waited longest goes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Shorter buffers are left to the allocator.
const SMALLEST: usize = 1024;

/// A cache line holds this many elements: buffers start on one, so that no vector load straddles two.
const LINE: usize = 16;

/// Elements of one tensor, returned to the pool when dropped.
pub(crate) struct CpuBuffer {
    data: Vec<f32>, // LINE longer than asked for
    start: usize,
    len: usize,
}

impl CpuBuffer {
    /// A buffer of `len` elements that hold arbitrary numbers.
    pub(crate) fn take(len: usize) -> CpuBuffer {
        let kept = if len < SMALLEST { None } else { lock().take(len) };
        let data = kept.unwrap_or_else(|| vec![0.0; len + LINE]);
        let start = data.as_ptr().align_offset(4 * LINE);
        let mut buffer = CpuBuffer { data, start, len };
        if cfg!(debug_assertions) {
            buffer.fill(f32::NAN); // an element that a kernel forgets to write is seen
        }
        buffer
    }

    /// Another buffer with the same elements.
    pub(crate) fn copy(&self) -> CpuBuffer {
        let mut copy = CpuBuffer::take(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

/// Runs `body` with `len` numbers to scribble on, whose contents are arbitrary. Each thread keeps its own, so that small tasks
/// do not wait for each other at the pool's lock.
pub(crate) fn scratch<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while in use: a body may want scratch of its own.
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
            drop(evicted); // the lock is free again: returning memory to the system takes time
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
    waiting: HashMap<usize, Vec<(u64, Vec<f32>)>>, // by length, each with the time it came back
    clock: u64,
    held: usize, // elements waiting
    used: usize, // elements in use
    peak: usize, // the most that was in use at once
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

/// The pool. No code that can panic runs under its lock, so a poisoned one is whole all the same.
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

    /// Keeps `data`, and returns what has to make room for it.
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
