//! A device that computes nothing and records the launches of a training step.

use std::sync::{Mutex, PoisonError};

use tensor::{Accelerator, BufferId, Kernel, Launch, Limits, Pending, Result, Shape, Span};

/// WebGPU's guaranteed limits, except that hardware takes more buffers (Metal 31, others more), and the hints of a hardware GPU.
const LIMITS: Limits = Limits {
    buffer_len: 1 << 25,
    alignment: 64,
    groups: 65_535,
    buffers: 30,
    registers: 64,
    target_workgroups: 256,
    software: false,
};

/// A launch as the device would see it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) kernel: &'static Kernel,
    pub(crate) constants: Vec<(&'static str, f64)>,
    pub(crate) params: Vec<u32>,
    pub(crate) groups: [u32; 3],
    /// The number of buffers that it binds.
    pub(crate) buffers: usize,
    /// The bytes of the tensors that it reads, each counted once.
    pub(crate) read: usize,
    /// The bytes of the tensors that it writes or updates.
    pub(crate) written: usize,
}

/// The recording device. Its tensors read as zeros.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    buffers: u64,
    launches: Vec<Recorded>,
}

impl Recorder {
    /// The launches since the last call.
    pub(crate) fn take(&self) -> Vec<Recorded> {
        self.with(|state| std::mem::take(&mut state.launches))
    }

    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The bytes of all these spans. A span that is bound more than once, in place of one that is not used, counts once.
fn bytes(spans: &[Span]) -> usize {
    let first = |i: &usize| !spans[..*i].contains(&spans[*i]);
    (0..spans.len()).filter(first).map(|i| 4 * spans[i].len).sum()
}

impl Accelerator for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn alloc(&self, _: &Shape) -> BufferId {
        self.with(|state| {
            state.buffers += 1;
            BufferId(state.buffers)
        })
    }

    fn free(&self, _: BufferId) {}

    fn write(&self, _: BufferId, _: &[f32]) {}

    fn launch(&self, launch: Launch<'_>) {
        let Launch { kernel, constants, reads, writes, params, groups } = launch;
        let (read, written, buffers) = (bytes(reads), bytes(writes), reads.len() + writes.len());
        let (constants, params) = (constants.to_vec(), params.to_vec());
        self.with(|state| {
            state.launches.push(Recorded { kernel, constants, params, groups, buffers, read, written });
        });
    }

    fn read(&self, span: Span) -> Pending<Vec<f32>> {
        Box::pin(async move { Ok(vec![0.0; span.len]) })
    }

    fn end_step(&self) -> Pending<()> {
        let done: Result<()> = Ok(());
        Box::pin(async move { done })
    }
}
