//! Parallel loops over parts of a tensor.
//!
//! Every loop of the kernels over several threads is one of these, so that the feature `task-log` sees them all.
//! A part has at least [`GRAIN`] elements, since starting a task on another core costs as much as a few thousand additions.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::simd::Isa;
#[cfg(feature = "task-log")]
use super::task_log::Running;
use crate::error::{Error, Result};

/// Starts the threads that compute, and returns their number. `count` is the requested number; 0 means one per core. The calling
/// thread becomes one of them. Otherwise every kernel would be handed to another thread and back, which costs tens of microseconds
/// and a quarter of a small model's training step. A program calls this once, at its start, on the thread that will train.
///
/// # Errors
/// If threads were started before, or the system does not start that many.
pub fn start_threads(count: usize) -> Result<usize> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).use_current_thread();
    pool.build_global().map_err(|error| Error::Threads { count, what: error.to_string() })?;
    Ok(rayon::current_num_threads())
}

/// Threads that one thread has for itself.
pub struct OwnThreads(#[expect(dead_code, reason = "the threads end when it is dropped")] rayon::ThreadPool);

/// Starts threads for the calling thread alone, and makes it one of them. `count` is their number; 0 means as many as the program has.
/// For a thread that calls operations beside the one that started the program's threads, which may be waiting for it. A thread calls
/// this once, and keeps the result.
///
/// # Errors
/// If the system does not start that many.
pub fn start_own_threads(count: usize) -> Result<OwnThreads> {
    let count = if count == 0 { rayon::current_num_threads() } else { count };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).use_current_thread().build();
    pool.map(OwnThreads).map_err(|error| Error::Threads { count, what: error.to_string() })
}

/// The least number of elements of a task.
pub(crate) const GRAIN: usize = 16 * 1024;

/// Tasks of a kernel that cuts its work by shape, where there is as much to do: enough for 64 cores.
pub(crate) const ENOUGH_TASKS: usize = 64;

/// Calls `task(i)` in parallel for every i in `0..count`.
///
/// This and [`for_each_part`] are not generic: rayon's loops take long to compile, and a call through a pointer costs nothing beside
/// the work of a task.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_index(count: usize, task: &(dyn Fn(usize) + Sync)) {
    #[cfg(feature = "task-log")]
    let log = Running::new(count);
    #[cfg(feature = "task-log")]
    let task = &|i| log.time(i, || task(i));
    (0..count).into_par_iter().for_each(task);
}

/// Calls `task(i, part)` in parallel for the i-th part of `len` elements of `out`. The last part may be shorter.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_part(out: &mut [f32], len: usize, task: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    #[cfg(feature = "task-log")]
    let log = Running::new(out.len().div_ceil(len));
    #[cfg(feature = "task-log")]
    let task = |i: usize, part: &mut [f32]| log.time(i, || task(i, part));
    out.par_chunks_mut(len).enumerate().for_each(|(i, part)| task(i, part));
}

/// Calls `task(i, item)` in parallel for every item.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_item<T: Send>(items: &mut [T], task: impl Fn(usize, &mut T) + Sync) {
    #[cfg(feature = "task-log")]
    let log = Running::new(items.len());
    #[cfg(feature = "task-log")]
    let task = |i: usize, item: &mut T| log.time(i, || task(i, item));
    let task: &(dyn Fn(usize, &mut T) + Sync) = &task;
    items.par_iter_mut().enumerate().for_each(|(i, item)| task(i, item));
}

/// The results of `task(i)` for every i in `0..count`, computed in parallel.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn map<T: Send>(count: usize, task: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(feature = "task-log")]
    let log = Running::new(count);
    #[cfg(feature = "task-log")]
    let task = |i: usize| log.time(i, || task(i));
    let task: &(dyn Fn(usize) -> T + Sync) = &task;
    (0..count).into_par_iter().map(task).collect()
}

/// Calls `body(first, part)` for consecutive parts of `out`, where `first` is the index of the part's first element. The body is
/// compiled for every instruction set.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_chunk(out: &mut [f32], body: impl Fn(usize, &mut [f32]) + Sync) {
    let isa = Isa::current();
    dispatch_chunks(out, &|first, part| isa.run(|| body(first, part)));
}

/// Like [`for_each_chunk`], for a body that passes its work to a [`SimdKernel`](super::simd::SimdKernel) or another function. The body
/// itself is compiled once.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn dispatch_chunks(out: &mut [f32], body: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    match out.len() {
        ..=GRAIN => body(0, out),
        _ => for_each_part(out, GRAIN, &|i, part| body(i * GRAIN, part)),
    }
}

/// Calls `body(row, out[row])` for every row of `cols` elements. The body is compiled for every instruction set.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_row(out: &mut [f32], cols: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    for_each_row_of(out, cols, cols, body);
}

/// Calls `body(row, out[row])` for every row of `cols` elements, each of which is computed from `work` elements.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_each_row_of(out: &mut [f32], cols: usize, work: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    let isa = Isa::current();
    for_some_rows(out, cols, work, &|first, part| {
        isa.run(|| {
            for (r, row) in part.chunks_mut(cols).enumerate() {
                body(first + r, row);
            }
        });
    });
}

/// Like [`for_each_row_of`], for a body that passes its work to a [`SimdKernel`](super::simd::SimdKernel) or another function. The body
/// itself is compiled once.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn dispatch_rows(out: &mut [f32], cols: usize, work: usize, body: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    for_some_rows(out, cols, work, &|first, part| {
        for (r, row) in part.chunks_mut(cols).enumerate() {
            body(first + r, row);
        }
    });
}

/// Calls `body(first, rows)` for parts of enough rows, where `first` is the number of the part's first row.
#[cfg_attr(feature = "task-log", track_caller)]
pub(crate) fn for_some_rows(out: &mut [f32], cols: usize, work: usize, body: &(dyn Fn(usize, &mut [f32]) + Sync)) {
    if cols > 0 {
        let several = (GRAIN / work.max(1)).max(1);
        for_each_part(out, cols * several, &|i, part| body(i * several, part));
    }
}

/// A mutable slice whose parts parallel tasks write. The parts are disjoint but need not be chunks: they may be columns or channels.
pub(crate) struct DisjointSliceMut<'a> {
    data: *mut f32,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: the callers of `part` promise that the ranges are disjoint, so no element is reached from two threads.
unsafe impl Sync for DisjointSliceMut<'_> {}
// SAFETY: as above. The pointer is valid as long as the borrow.
unsafe impl Send for DisjointSliceMut<'_> {}

impl<'a> DisjointSliceMut<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> DisjointSliceMut<'a> {
        DisjointSliceMut { data: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The elements in `range`.
    ///
    /// # Safety
    /// While the returned slice is alive, no other call may include an element of `range`.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice, checked above; exclusive, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}
