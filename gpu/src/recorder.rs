//! A device that computes nothing and records launches: to compile kernels before they are needed, or to study a step without a GPU.

use std::sync::Mutex;

use tensor::{Accelerator, BufferId, Dtype, Kernel, Launch, Limits, Pending, Result, Shape, Span};

use crate::fault::lock;

/// A launch as the device would see it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its kernel.
    pub kernel: &'static Kernel,
    /// The constants that are compiled into the kernel.
    pub constants: Vec<(&'static str, f64)>,
    /// Its parameters.
    pub params: Vec<u32>,
    /// Its workgroups.
    pub groups: [u32; 3],
    /// The numbers of buffers that it reads and writes.
    pub buffers: [usize; 2],
    /// The buffers that hold f16, as [`Launch::f16`] counts them.
    pub f16: u32,
    /// The bytes of the tensors that it reads, each counted once.
    pub read: usize,
    /// The bytes of the tensors that it writes or updates.
    pub written: usize,
}

/// The recording device. Its tensors read as zeros.
#[derive(Debug)]
pub struct Recorder {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    buffers: u64,
    launches: Vec<Recorded>,
}

impl Recorder {
    /// A device with these limits. Operations cut their work by them.
    pub fn new(limits: Limits) -> Recorder {
        Recorder { limits, state: Mutex::default() }
    }

    /// The launches since the last call.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut lock(&self.state).launches)
    }
}

/// The bytes of all these spans. A span that is bound more than once, in place of one that is not used, counts once.
fn bytes(spans: &[Span]) -> usize {
    let first = |i: &usize| !spans[..*i].contains(&spans[*i]);
    (0..spans.len()).filter(first).map(|i| spans[i].bytes() as usize).sum()
}

impl Accelerator for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn alloc(&self, _: &Shape, _: Dtype) -> BufferId {
        let mut state = lock(&self.state);
        state.buffers += 1;
        BufferId(state.buffers)
    }

    fn free(&self, _: BufferId) {}

    fn write(&self, _: BufferId, _: &[f32]) {}

    fn launch(&self, launch: Launch<'_>) {
        let f16 = launch.f16();
        let Launch { kernel, constants, reads, writes, params, groups } = launch;
        let (read, written, buffers) = (bytes(reads), bytes(writes), [reads.len(), writes.len()]);
        let (constants, params) = (constants.to_vec(), params.to_vec());
        lock(&self.state).launches.push(Recorded { kernel, constants, params, groups, buffers, f16, read, written });
    }

    fn read(&self, span: Span) -> Pending<Vec<f32>> {
        Box::pin(async move { Ok(vec![0.0; span.len]) })
    }

    fn end_step(&self) -> Pending<()> {
        let done: Result<()> = Ok(());
        Box::pin(async move { done })
    }
}
