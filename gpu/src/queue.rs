//! Collects launches in one compute pass and submits them together.

use std::sync::Arc;

use crate::params::Params;
use crate::pipelines::PreparedLaunch;
use crate::profile::Profiler;

/// Launches in one submission: enough to make the cost of submitting small, and few enough that the device starts early.
const LAUNCHES_PER_SUBMISSION: usize = 256;

/// After this many uploaded bytes the batch is submitted, even without a launch, since wgpu keeps a copy of them until then.
const MAX_UPLOAD_BYTES: u64 = 64 << 20;

/// The commands that are recorded and not yet submitted.
pub(crate) struct Batch {
    device: wgpu::Device,
    queue: wgpu::Queue,
    open: Option<Open>,
    pub(crate) params: Params,
    profiler: Option<Profiler>,
    uploaded: u64,
    pub(crate) number: u64, // of this batch, counted from 1
    last: Option<wgpu::SubmissionIndex>,
    pub(crate) launches: u64,
    pub(crate) submits: u64,
}

/// The one encoder. Its pass has no lifetime (`forget_lifetime`), so it must be dropped before the encoder is used.
struct Open {
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
    launches: usize,
}

impl Batch {
    pub(crate) fn new(device: wgpu::Device, queue: wgpu::Queue, profile: bool) -> Batch {
        Batch {
            params: Params::new(&device, LAUNCHES_PER_SUBMISSION),
            profiler: profile.then(|| Profiler::new(&device, &queue, LAUNCHES_PER_SUBMISSION)),
            device,
            queue,
            open: None,
            uploaded: 0,
            number: 1,
            last: None,
            launches: 0,
            submits: 0,
        }
    }

    pub(crate) fn launch(&mut self, ready: &PreparedLaunch, params: &[u32], [x, y, z]: [u32; 3]) {
        let offset = self.params.push(params);
        let open = self.open.get_or_insert_with(|| Open::new(&self.device));
        let pass = match &mut self.profiler {
            Some(profiler) => {
                open.pass = None;
                let times = Some(profiler.next(ready.name.clone()));
                open.pass.insert(begin(&mut open.encoder, Some(&ready.name), times))
            }
            None => open.pass.get_or_insert_with(|| begin(&mut open.encoder, None, None)),
        };
        pass.set_pipeline(&ready.pipeline);
        pass.set_bind_group(0, &ready.group, &[]);
        pass.set_bind_group(1, self.params.group(), &[offset]);
        pass.dispatch_workgroups(x, y, z);
        open.launches += 1;
        self.launches += 1;
        if open.launches == LAUNCHES_PER_SUBMISSION {
            self.submit();
        }
    }

    /// Writes to a buffer that no launch of this batch uses, since wgpu uploads before the batch runs.
    pub(crate) fn upload(&mut self, buffer: &wgpu::Buffer, data: &[u8]) {
        self.queue.write_buffer(buffer, 0, data);
        self.uploaded += data.len() as u64;
        if self.uploaded >= MAX_UPLOAD_BYTES {
            self.submit();
        }
    }

    /// Records a copy to a buffer that the host can read, and submits.
    pub(crate) fn copy(
        &mut self,
        source: &wgpu::Buffer,
        offset: u64,
        target: &wgpu::Buffer,
        bytes: u64,
    ) -> wgpu::SubmissionIndex {
        let open = self.open.get_or_insert_with(|| Open::new(&self.device));
        open.pass = None;
        open.encoder.copy_buffer_to_buffer(source, offset, target, 0, bytes);
        self.submit().expect("a copy was recorded")
    }

    /// Submits what is recorded, if anything, and returns the last submission.
    pub(crate) fn submit(&mut self) -> Option<wgpu::SubmissionIndex> {
        let mut times = None;
        let commands = self.open.take().map(|Open { pass, mut encoder, launches }| {
            drop(pass);
            if launches > 0 {
                self.params.upload(&self.queue);
                times = self.profiler.as_ref().map(|profiler| profiler.resolve(&self.device, &mut encoder));
            }
            encoder.finish()
        });
        if commands.is_some() || self.uploaded > 0 {
            self.last = Some(self.queue.submit(commands));
            self.uploaded = 0;
            self.number += 1;
            self.submits += 1;
        }
        if let (Some(profiler), Some(host)) = (&mut self.profiler, times) {
            profiler.collect(host);
        }
        self.last.clone()
    }

    pub(crate) fn profiler(&self) -> Option<&Profiler> {
        self.profiler.as_ref()
    }
}

impl Open {
    fn new(device: &wgpu::Device) -> Open {
        let encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None });
        Open { pass: None, encoder, launches: 0 }
    }
}

fn begin(
    encoder: &mut wgpu::CommandEncoder,
    label: Option<&Arc<str>>,
    timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
) -> wgpu::ComputePass<'static> {
    let label = label.map(|label| &**label);
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes }).forget_lifetime()
}
