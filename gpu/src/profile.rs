//! Times of kernels. With profiling, each launch is a compute pass of its own between two timestamps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use wgpu::BufferUsages;

use crate::fault::lock;

/// The time of one kernel with certain constants.
#[derive(Clone, PartialEq, Debug)]
pub struct KernelTime {
    /// Its entry point and its constants: `matmul tile=64`.
    pub name: String,
    /// The number of finished launches.
    pub count: u64,
    /// Their total time.
    pub seconds: f64,
}

type Times = HashMap<Arc<str>, (u64, f64)>;

/// The timestamps of a submission, and the sums of earlier ones.
pub(crate) struct Profiler {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    names: Vec<Arc<str>>, // of the recorded launches
    tick: f64,
    times: Arc<Mutex<Times>>,
}

impl Profiler {
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, launches: usize) -> Profiler {
        let count = 2 * launches as u32;
        Profiler {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("times"),
                ty: wgpu::QueryType::Timestamp,
                count,
            }),
            resolved: buffer(device, u64::from(count) * 8, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC),
            names: Vec::with_capacity(launches),
            tick: f64::from(queue.get_timestamp_period()) * 1e-9,
            times: Arc::default(),
        }
    }

    /// The timestamps of the next launch.
    pub(crate) fn next(&mut self, name: Arc<str>) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = 2 * self.names.len() as u32;
        self.names.push(name);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Ends a submission. The caller passes the result to [`collect`](Profiler::collect) once it is submitted.
    pub(crate) fn resolve(&self, device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder) -> wgpu::Buffer {
        let count = 2 * self.names.len() as u32;
        let bytes = u64::from(count) * 8;
        let host = buffer(device, bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        encoder.resolve_query_set(&self.queries, 0..count, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &host, 0, bytes);
        host
    }

    /// Adds the submission's times to the sums when they arrive.
    pub(crate) fn collect(&mut self, host: wgpu::Buffer) {
        let (names, times, tick) = (std::mem::take(&mut self.names), self.times.clone(), self.tick);
        host.clone().map_async(wgpu::MapMode::Read, .., move |mapped| {
            // An error means a lost device, which is reported elsewhere.
            if let (Ok(()), Ok(view)) = (mapped, host.get_mapped_range(..)) {
                let stamps: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
                let mut times = lock(&times);
                for (name, pair) in names.into_iter().zip(stamps.chunks_exact(2)) {
                    let time = times.entry(name).or_default();
                    time.0 += 1;
                    time.1 += pair[1].saturating_sub(pair[0]) as f64 * tick;
                }
            }
        });
    }

    /// The times since the last call, the longest first.
    pub(crate) fn take(&self) -> Vec<KernelTime> {
        let times = std::mem::take(&mut *lock(&self.times));
        let mut all: Vec<_> = times
            .into_iter()
            .map(|(name, (count, seconds))| KernelTime { name: name.to_string(), count, seconds })
            .collect();
        all.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.name.cmp(&b.name)));
        all
    }
}

fn buffer(device: &wgpu::Device, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: Some("times"), size, usage, mapped_at_creation: false })
}
