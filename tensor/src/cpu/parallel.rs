//! Loops over parts of tensors, spread over the cores.
//!
//! A part is never smaller than [`GRAIN`]: handing work to another core costs about as much as a few thousand additions.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::simd::Isa;
use crate::error::{Error, Result};

/// Computes on `count` threads from now on (0: one a core) and says how many that is. The calling thread is one of them: work
/// that comes from outside must be handed over and back, which costs tens of microseconds a kernel, a quarter of a small
/// model's step. To be called once, first, by the thread that will train.
///
/// # Errors
/// If threads were started before, or the system refuses as many.
pub fn start_threads(count: usize) -> Result<usize> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).use_current_thread();
    pool.build_global().map_err(|error| Error::Threads { count, what: error.to_string() })?;
    Ok(rayon::current_num_threads())
}

/// Elements that one core should at least be given.
pub(crate) const GRAIN: usize = 16 * 1024;

/// `body(first, part)` for consecutive parts of `out`, `first` being where the part begins.
pub(crate) fn over(out: &mut [f32], body: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let isa = Isa::current();
    if out.len() <= GRAIN {
        return isa.run(|| body(0, out));
    }
    out.par_chunks_mut(GRAIN).enumerate().for_each(|(i, part)| isa.run(|| body(i * GRAIN, part)));
}

/// `body(row, out[row])` for every row of `cols` elements.
pub(crate) fn rows(out: &mut [f32], cols: usize, body: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let isa = Isa::current();
    if cols == 0 {
        return;
    }
    let several = (GRAIN / cols).max(1);
    out.par_chunks_mut(cols * several).enumerate().for_each(|(i, part)| {
        isa.run(|| {
            for (r, row) in part.chunks_mut(cols).enumerate() {
                body(i * several + r, row);
            }
        });
    });
}

/// A slice of which parallel tasks write disjoint parts that are not chunks: columns, channels.
pub(crate) struct DisjointSliceMut<'a> {
    data: *mut f32,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: `part` hands out ranges that its callers promise to be disjoint, so no element is reached from two threads.
unsafe impl Sync for DisjointSliceMut<'_> {}
// SAFETY: likewise; the pointer is valid wherever the borrow is.
unsafe impl Send for DisjointSliceMut<'_> {}

impl<'a> DisjointSliceMut<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> DisjointSliceMut<'a> {
        DisjointSliceMut { data: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The elements in `range`.
    ///
    /// # Safety
    /// Until the returned slice is gone, nobody else may ask for an element of `range`.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice, checked above; exclusive, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.len()) }
    }
}
