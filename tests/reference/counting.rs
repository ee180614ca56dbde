//! A device that stores buffers and computes nothing. It counts requests, so that tests can check them, and refuses launches
//! that no device supports.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tensor::{Accelerator, BufferId, Dtype, Error, Launch, Limits, Pending, Result, Shape, Span};

/// WebGPU's guaranteed limits: 128 MiB per binding, offsets in multiples of 256 bytes.
const LIMITS: Limits = Limits {
    buffer_len: 1 << 25,
    alignment: 64,
    groups: 65_535,
    buffers: 8,
    registers: 64,
    winograd: true,
    target_workgroups: 256,
    software: false,
    f16: false,
};
/// The largest number of words in the parameters of a launch.
const WORDS: usize = 64;

/// The number of requests of each kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Allocated buffers.
    pub allocs: usize,
    /// Freed buffers.
    pub frees: usize,
    /// Buffers that were written.
    pub writes: usize,
    /// Launched kernels.
    pub launches: usize,
    /// Buffers that were read back.
    pub reads: usize,
    /// Ended steps.
    pub steps: usize,
}

/// The counting device.
#[derive(Debug, Default)]
pub struct Counting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    buffers: HashMap<BufferId, Vec<f32>>,
    counts: Counts,
    failure: Option<String>,
}

impl Counting {
    /// Returns the counts so far.
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    /// Returns the number of allocated buffers that have not been freed.
    pub fn live(&self) -> usize {
        self.with(|state| state.buffers.len())
    }

    /// From now on every read and every end of a step fails with this error.
    pub fn fail(&self, what: &str) {
        self.with(|state| state.failure = Some(what.to_owned()));
    }

    fn with<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failure {
            Some(what) => Err(Error::Device { device: "counting".into(), what: what.clone() }),
            None => Ok(()),
        }
    }

    /// # Panics
    /// If the span is not inside an allocated buffer.
    fn elements(&self, span: Span, who: &str) -> &[f32] {
        let buffer = self.buffers.get(&span.buffer);
        let buffer = buffer.unwrap_or_else(|| panic!("{who} uses {:?}, which is gone", span.buffer));
        let inside = span.start.checked_add(span.len).is_some_and(|end| end <= buffer.len());
        assert!(inside, "{who}: {span:?} reaches past the {} elements of its buffer", buffer.len());
        assert!(span.start.is_multiple_of(LIMITS.alignment), "{who}: {span:?} is not aligned");
        &buffer[span.start..][..span.len]
    }
}

impl Accelerator for Counting {
    fn name(&self) -> &str {
        "counting"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn alloc(&self, shape: &Shape, _: Dtype) -> BufferId {
        let len = shape.count();
        assert!(len <= LIMITS.buffer_len, "a tensor {shape} is more than a buffer holds");
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
        let Launch { kernel, constants, reads, writes, params, groups } = launch;
        let who = kernel.entry;
        self.with(|state| {
            state.counts.launches += 1;
            for &span in reads.iter().chain(writes) {
                state.elements(span, who);
            }
        });
        assert!(reads.len() + writes.len() <= LIMITS.buffers as usize, "{who} names {reads:?} and {writes:?}");
        assert!(!writes.is_empty(), "{who} writes nothing");
        for (i, write) in writes.iter().enumerate() {
            let others = reads.iter().chain(&writes[..i]);
            // A launch must not read and write the same buffer: GPUs refuse that even for disjoint spans.
            let twice = others.clone().any(|other| other.buffer == write.buffer);
            assert!(!twice, "{who} lists {:?} twice, once of them to be written", write.buffer);
        }
        assert!(params.len() <= WORDS, "{who} takes {} words", params.len());
        assert!(groups.iter().all(|&n| n <= LIMITS.groups), "{who} is launched over {groups:?} workgroups");
        let source = kernel.source(0);
        assert!(source.contains(&format!("fn {who}(")), "{who} is not in its source");
        for (i, &(name, value)) in constants.iter().enumerate() {
            assert!(value.is_finite(), "{who}: {name} is {value}");
            assert!(source.contains(&format!("override {name}:")), "{who} knows no constant {name}");
            assert!(constants[..i].iter().all(|&(other, _)| other != name), "{who}: {name} is given twice");
        }
    }

    fn read(&self, span: Span) -> Pending<Vec<f32>> {
        let result = self.with(|state| {
            state.counts.reads += 1;
            state.check().map(|()| state.elements(span, "read").to_vec())
        });
        Box::pin(async move { result })
    }

    fn end_step(&self) -> Pending<()> {
        let result = self.with(|state| {
            state.counts.steps += 1;
            state.check()
        });
        Box::pin(async move { result })
    }
}
