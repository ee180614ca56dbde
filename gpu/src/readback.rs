//! Elements on their way to the host, as futures: a browser is called back, elsewhere the first `poll` waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use wgpu::BufferUsages;

use crate::fault::{Fault, lock};
use crate::pool::size_class;

/// Staging buffers kept for the next read.
const MAX_KEPT: usize = 8;

/// Set once, by a callback of wgpu.
#[derive(Default)]
struct Signal {
    came: Option<Result<(), String>>,
    waker: Option<Waker>,
}

/// Sets a signal, from a callback.
pub(crate) struct Completion(Arc<Mutex<Signal>>);

impl Completion {
    /// An error counts only if somebody waits: dropping a read unmaps its buffer, and wgpu calls that one too.
    pub(crate) fn complete(self, came: Result<(), String>) {
        let mut signal = lock(&self.0);
        signal.came = Some(came);
        let waker = signal.waker.take();
        drop(signal);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Pending until its completion is rung; an error if the device fails before.
pub(crate) struct SubmissionFuture {
    signal: Arc<Mutex<Signal>>,
    fault: Arc<Fault>,
    device: wgpu::Device,
    submission: wgpu::SubmissionIndex,
}

impl SubmissionFuture {
    /// Of what rings the completion when that submission has run.
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
        if lock(&self.signal).came.is_none() {
            // Calls the callbacks, unless another thread is about to; does nothing in a browser.
            let wait = wgpu::PollType::Wait { submission_index: Some(self.submission.clone()), timeout: None };
            self.fault.wait(&self.device, wait);
        }
        let mut signal = lock(&self.signal);
        if let Some(Err(error)) = &signal.came {
            self.fault.record(format!("a read failed ({error}): try again, or use --device cpu"));
        }
        match self.fault.check() {
            Ok(()) if signal.came.is_none() => {
                signal.waker = Some(context.waker().clone());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

/// Buffers that the host can see.
#[derive(Default)]
pub(crate) struct Staging(Mutex<Vec<wgpu::Buffer>>);

impl Staging {
    pub(crate) fn take(&self, device: &wgpu::Device, fault: &Fault, bytes: u64) -> wgpu::Buffer {
        let size = size_class(bytes);
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

/// The elements that a submission copied into a staging buffer. Dropped before its end it drops the buffer with it.
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
