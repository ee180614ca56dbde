//! A pool of buffers. Every training step needs the same lengths again, and a new large allocation costs a page fault every 4 KiB.
//! A dropped buffer is therefore kept for the next tensor of its length, or of at least half of it: a forward pass and a backward pass
//! need other lengths, and there is no room for both.
//!
//! When a buffer returns and all buffers together hold a quarter more than tensors ever needed at once, kept ones are freed, the oldest
//! first.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Shorter buffers are not pooled.
const SMALLEST: usize = 1024;

/// The elements of a cache line. Buffers start at a line, so that no vector load crosses two.
const LINE: usize = 16;

/// The elements of one tensor. A dropped buffer returns to the pool.
pub(crate) struct CpuBuffer {
    data: Vec<f32>, // LINE longer than its room, which is at least `len`
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

/// A buffer with the time of its return.
type Kept = (u64, Vec<f32>);

#[derive(Default)]
struct Pool {
    waiting: BTreeMap<usize, VecDeque<Kept>>, // by room, the oldest first; no list is empty
    clock: u64,
    needed: usize, // elements of tensors
    peak: usize,   // the most elements of tensors at once
    rooms: usize,  // elements in the buffers of tensors and in kept buffers
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

/// The pool. No code that can panic runs under its lock, so it is consistent even if the lock is poisoned.
fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn take(&mut self, len: usize) -> Option<Vec<f32>> {
        self.needed += len;
        self.peak = self.peak.max(self.needed);
        let Some((&room, _)) = self.waiting.range(len..=2 * len).next() else {
            self.rooms += len;
            return None;
        };
        self.remove(room, VecDeque::pop_back)
    }

    /// Takes one of the kept buffers with this room.
    fn remove(&mut self, room: usize, one: fn(&mut VecDeque<Kept>) -> Option<Kept>) -> Option<Vec<f32>> {
        let list = self.waiting.get_mut(&room)?;
        let (_, data) = one(list)?;
        if list.is_empty() {
            self.waiting.remove(&room);
        }
        Some(data)
    }

    /// Keeps `data`, which held a tensor of `len` elements, and returns the buffers that must be freed for it.
    fn put(&mut self, len: usize, data: Vec<f32>) -> Vec<Vec<f32>> {
        self.clock += 1;
        self.needed -= len;
        self.waiting.entry(room(&data)).or_default().push_back((self.clock, data));
        let mut evicted = Vec::new();
        while self.rooms > self.peak + self.peak / 4 {
            let oldest = self.waiting.iter().filter_map(|(&room, list)| Some((list.front()?.0, room))).min();
            let Some((_, room)) = oldest else { break };
            self.rooms -= room;
            evicted.extend(self.remove(room, VecDeque::pop_front));
        }
        evicted
    }
}

/// The longest tensor that fits into `data`, wherever its first cache line begins.
fn room(data: &[f32]) -> usize {
    data.len() - LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(room: usize) -> Vec<f32> {
        vec![0.0; room + LINE]
    }

    #[test]
    fn a_buffer_comes_back_to_a_tensor_of_its_length_or_half_of_it() {
        let mut pool = Pool::default();
        for len in [5_000, 6_000] {
            assert!(pool.take(len).is_none());
        }
        let [small, large] = [buffer(5_000), buffer(6_000)];
        let addresses = [small.as_ptr(), large.as_ptr()];
        pool.put(6_000, large);
        pool.put(5_000, small);
        assert!(pool.take(6_001).is_none() && pool.take(2_499).is_none());
        let taken = [2_500, 5_000].map(|len| pool.take(len).map(|data| data.as_ptr()));
        assert_eq!(taken, addresses.map(Some), "the smallest that is long enough goes first");
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
            pool.put(len, buffer(len));
            let kept: usize = pool.waiting.iter().map(|(room, list)| room * list.len()).sum();
            assert_eq!(kept, pool.rooms);
            assert!(kept <= pool.peak + pool.peak / 4, "holds {kept} after a peak of {}", pool.peak);
        }
    }
}
