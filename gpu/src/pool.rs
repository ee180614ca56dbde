//! A pool of buffers by size class. A freed buffer is reused for the next tensor of its class.
//!
//! A buffer may be reused before the launches that use it have run, since everything runs in order in one queue. `alloc` returns the
//! free buffer with the **lowest id**, not the last one that was freed. The result then depends only on which buffers are free, not on
//! the order in which they were freed. A training step with the same shapes therefore gets the same buffers as the step before, and
//! every bind group is found in the cache.

use std::collections::{BTreeSet, HashMap};

use tensor::{BufferId, Dtype, Shape};
use wgpu::BufferUsages;

use crate::fault::{Fault, mebibytes, on_a_command_line};

/// The unit of sizes. Every storage or uniform alignment divides it.
const GRAIN: u64 = 256;

/// The id for a tensor that does not fit the device. The device has failed by then and ignores all calls.
pub(crate) const INVALID: BufferId = BufferId(u64::MAX);

/// All buffers of tensors.
pub(crate) struct Pool {
    slots: Vec<Slot>, // an id is an index; indices are not reused
    free: HashMap<u64, BTreeSet<u64>>,
    largest: u64,
    pub(crate) created: u64,
    pub(crate) bytes: u64,
    pub(crate) peak: u64,
}

struct Slot {
    buffer: Option<wgpu::Buffer>, // none once trimmed
    bytes: u64,
    used: u64, // the last batch with a launch that uses it
}

impl Pool {
    /// `largest` is the most bytes that one tensor may take.
    pub(crate) fn new(largest: u64) -> Pool {
        Pool { slots: Vec::new(), free: HashMap::new(), largest, created: 0, bytes: 0, peak: 0 }
    }

    pub(crate) fn alloc(&mut self, device: &wgpu::Device, fault: &Fault, shape: &Shape, dtype: Dtype) -> BufferId {
        let needed = dtype.bytes() as u64 * shape.count() as u64; // more than usize holds in a browser
        if needed > self.largest {
            let advice = on_a_command_line(": lower train.batch_size, or use --device cpu");
            fault.record(format!(
                "tensor {shape} takes {}, and a buffer of this device at most {}{advice}",
                mebibytes(needed),
                mebibytes(self.largest)
            ));
            return INVALID;
        }
        let bytes = size_class(needed).min(self.largest);
        if let Some(id) = self.free.get_mut(&bytes).and_then(BTreeSet::pop_first) {
            return BufferId(id);
        }
        let what = format!("tensor {shape} of {}, with {} held", mebibytes(needed), mebibytes(self.bytes));
        let buffer = fault.while_doing(what, || {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: bytes,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        self.slots.push(Slot { buffer: Some(buffer), bytes, used: 0 });
        self.created += 1;
        self.bytes += bytes;
        self.peak = self.peak.max(self.bytes);
        BufferId(self.slots.len() as u64 - 1)
    }

    pub(crate) fn free(&mut self, id: BufferId) {
        if id != INVALID {
            let fresh = self.free.entry(self.slots[id.0 as usize].bytes).or_default().insert(id.0);
            debug_assert!(fresh, "{id:?} was freed twice");
        }
    }

    /// # Panics
    /// If the buffer was freed and trimmed.
    pub(crate) fn get(&self, id: BufferId) -> &wgpu::Buffer {
        self.slots[id.0 as usize].buffer.as_ref().expect("a span names a buffer that is free")
    }

    /// Records that a launch of this batch uses the buffer.
    pub(crate) fn use_in(&mut self, batch: u64, id: BufferId) {
        self.slots[id.0 as usize].used = batch;
    }

    /// Whether a launch of this batch uses the buffer, perhaps for a tensor that was dropped since.
    pub(crate) fn used_in(&self, batch: u64, id: BufferId) -> bool {
        self.slots[id.0 as usize].used == batch
    }

    /// Drops every free buffer. The device frees their memory when the submitted work has run.
    pub(crate) fn trim(&mut self) {
        for id in self.free.drain().flat_map(|(_, ids)| ids) {
            let slot = &mut self.slots[id as usize];
            slot.buffer = None;
            self.bytes -= slot.bytes;
        }
    }

    /// Whether the buffer was trimmed away.
    pub(crate) fn is_gone(&self, id: BufferId) -> bool {
        self.slots[id.0 as usize].buffer.is_none()
    }
}

/// Rounds up to 5, 6, 7 or 8 eighths of a power of two, so that at most a fifth of a buffer is unused.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let step = (bytes.max(1).next_power_of_two() / 8).max(GRAIN);
    bytes.max(1).next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes hold their sizes, waste at most a fifth of themselves above 1 KiB, and there are four between powers of two.
    #[test]
    fn size_classes_hold_their_sizes_and_waste_little() {
        let mut classes = BTreeSet::new();
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, (1 << 30) - 1, 5 << 30]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class >= GRAIN && class.is_multiple_of(GRAIN), "{bytes}: {class}");
            assert!(bytes < 1024 || 5 * (class - bytes) <= class, "{bytes}: {class}");
            assert_eq!(size_class(class), class);
            classes.insert(class);
        }
        let within = |from: u64, to: u64| classes.range(from + 1..=to).copied().collect::<Vec<_>>();
        assert_eq!(within(0, 1024), [256, 512, 768, 1024]);
        assert_eq!(within(2048, 4096), [2560, 3072, 3584, 4096]);
    }
}
