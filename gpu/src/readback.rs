//! Reads of elements to the host, as futures. In a browser a callback wakes the future; elsewhere the first `poll` waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use wgpu::BufferUsages;

use crate::fault::{Fault, lock};
use crate::pool::size_class;

/// The most staging buffers that are kept for later reads.
const MAX_KEPT: usize = 8;

/// The state of a submission, set once by a callback of wgpu.
#[derive(Default)]
struct Signal {
    result: Option<Result<(), String>>,
    waker: Option<Waker>,
}

/// Completes a [`SubmissionFuture`] from a callback.
pub(crate) struct Completion(Arc<Mutex<Signal>>);

impl Completion {
    /// An error matters only if the future is still polled: when a read is dropped, its buffer is unmapped, and wgpu calls back with an
    /// error.
    pub(crate) fn complete(self, result: Result<(), String>) {
        let mut signal = lock(&self.0);
        signal.result = Some(result);
        let waker = signal.waker.take();
        drop(signal);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Ready when a submission has run, or with an error if the device fails before.
pub(crate) struct SubmissionFuture {
    signal: Arc<Mutex<Signal>>,
    fault: Arc<Fault>,
    device: wgpu::Device,
    submission: wgpu::SubmissionIndex,
}

impl SubmissionFuture {
    /// A future, and the completion that a callback calls when that submission has run.
    pub(crate) fn new(
        fault: Arc<Fault>,
        device: wgpu::Device,
        submission: wgpu::SubmissionIndex,
    ) -> (SubmissionFuture, Completion) {
        let signal = Arc::<Mutex<Signal>>::default();
        (SubmissionFuture { signal: signal.clone(), fault, device, submission }, Completion(signal))
    }
}

impl Future for SubmissionFuture {
    type Output = tensor::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<tensor::Result<()>> {
        if lock(&self.signal).result.is_none() {
            // This runs the callbacks, unless another thread does. In a browser it does nothing.
            self.fault.wait(&self.device, Some(self.submission.clone()));
        }
        let failed = matches!(lock(&self.signal).result, Some(Err(_)));
        if failed {
            self.fault.wait(&self.device, None); // if the device is lost, wgpu says so now
        }
        let mut signal = lock(&self.signal);
        if let Some(Err(error)) = &signal.result {
            self.fault.record(format!("a read failed ({error}): try again, or use --device cpu"));
        }
        match self.fault.check() {
            Ok(()) if signal.result.is_none() => {
                signal.waker = Some(context.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

/// Buffers that the host can read.
#[derive(Default)]
pub(crate) struct Staging(Mutex<Vec<wgpu::Buffer>>);

impl Staging {
    pub(crate) fn take(&self, device: &wgpu::Device, fault: &Fault, bytes: u64) -> wgpu::Buffer {
        let largest = device.limits().max_buffer_size / 256 * 256;
        let size = size_class(bytes).min(largest).max(bytes);
        let mut free = lock(&self.0);
        match free.iter().position(|buffer| buffer.size() == size) {
            Some(at) => free.swap_remove(at),
            None => fault.while_doing("a read".into(), || {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("read"),
                    size,
                    usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            }),
        }
    }

    fn give(&self, buffer: wgpu::Buffer) {
        let mut free = lock(&self.0);
        free.push(buffer);
        if free.len() > MAX_KEPT {
            free.remove(0);
        }
    }

    pub(crate) fn trim(&self) {
        lock(&self.0).clear();
    }
}

/// The elements that a submission copied into a staging buffer. If this future is dropped early, the buffer is dropped too.
pub(crate) async fn elements(
    staging: Arc<Staging>,
    fault: Arc<Fault>,
    buffer: wgpu::Buffer,
    bytes: u64,
    submitted: SubmissionFuture,
) -> tensor::Result<Vec<f32>> {
    submitted.await?;
    match buffer.get_mapped_range(..bytes) {
        Ok(view) => {
            let elements = bytemuck::pod_collect_to_vec(&view);
            drop(view);
            buffer.unmap();
            staging.give(buffer);
            Ok(elements)
        }
        Err(error) => {
            fault.record(format!("a read was refused ({error}): try again, or use --device cpu"));
            fault.check().map(|()| Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight buffers that were given back last are kept until they are trimmed away.
    #[test]
    fn few_buffers_are_kept_for_later_reads() {
        let (gpu, fault) = (crate::tests::shared(), Fault::new("a device".into(), None));
        let staging = Staging::default();
        let buffers: Vec<_> = (0..9).map(|_| staging.take(&gpu.device, &fault, 4)).collect();
        buffers.iter().for_each(|buffer| staging.give(buffer.clone()));
        assert_eq!(*lock(&staging.0), buffers[1..]);
        assert!(buffers[1..].contains(&staging.take(&gpu.device, &fault, 4)), "one of them is used again");
        staging.trim();
        assert!(lock(&staging.0).is_empty());
    }
}
