//! A machine that holds buffers and runs nothing: it counts, so that tests can see what tensors ask of a device.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tensor::{Accelerator, BufferId, Error, Launch, Limits, Pending};

/// How often the machine was asked for what.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Buffers asked for.
    pub allocs: usize,
    /// Buffers given back.
    pub frees: usize,
    /// Buffers filled.
    pub writes: usize,
    /// Kernels launched.
    pub launches: usize,
    /// Buffers read back.
    pub reads: usize,
    /// Steps ended.
    pub steps: usize,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Counting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    buffers: HashMap<BufferId, Vec<f32>>,
    counts: Counts,
    failure: Option<String>,
}

impl Counting {
    /// What it counted.
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    /// Buffers that were asked for and not given back.
    pub fn live(&self) -> usize {
        self.with(|state| state.buffers.len())
    }

    /// From now on every read fails with this.
    pub fn fail(&self, what: &str) {
        self.with(|state| state.failure = Some(what.to_owned()));
    }

    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Accelerator for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn limits(&self) -> Limits {
        Limits { buffer_len: 1 << 20, groups: 65_535, buffers: 8 }
    }

    fn alloc(&self, len: usize) -> BufferId {
        self.with(|state| {
            state.counts.allocs += 1;
            let id = BufferId(state.counts.allocs as u64);
            state.buffers.insert(id, vec![f32::NAN; len]);
            id
        })
    }

    fn free(&self, id: BufferId) {
        let freed = self.with(|state| {
            state.counts.frees += 1;
            state.buffers.remove(&id)
        });
        assert!(freed.is_some() || std::thread::panicking(), "{id:?} was given back twice");
    }

    fn write(&self, id: BufferId, data: &[f32]) {
        self.with(|state| {
            state.counts.writes += 1;
            state.buffers.get_mut(&id).expect("a buffer is written after it was given back")[..data.len()]
                .copy_from_slice(data);
        });
    }

    fn launch(&self, launch: Launch<'_>) {
        self.with(|state| {
            state.counts.launches += 1;
            for id in launch.reads.iter().chain(launch.writes) {
                assert!(state.buffers.contains_key(id), "{} uses {id:?}, which is gone", launch.kernel.entry);
            }
            let twice = launch.reads.iter().any(|id| launch.writes.contains(id));
            assert!(!twice, "{} lists a buffer under reads and writes", launch.kernel.entry);
        });
    }

    fn read(&self, id: BufferId, range: Range<usize>) -> Pending<Vec<f32>> {
        let result = self.with(|state| {
            state.counts.reads += 1;
            match &state.failure {
                Some(what) => Err(Error::Device { device: "counting".into(), what: what.clone() }),
                None => Ok(state.buffers[&id][range].to_vec()),
            }
        });
        Box::pin(async move { result })
    }

    fn end_step(&self) -> Pending<()> {
        self.with(|state| state.counts.steps += 1);
        Box::pin(async { Ok(()) })
    }
}
