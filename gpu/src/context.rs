//! An open GPU. Every call takes the one lock, records a command or answers, and returns. Only futures wait.

use std::collections::VecDeque;
use std::fmt;
use std::future::ready;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tensor::{Accelerator, BufferId, Dtype, Error, Kernel, Launch, Limits, Pending, Result, Shape, Span};

use crate::adapter::{Adapter, Options, Tuning, choose};
use crate::fault::{Fault, lock};
use crate::params::WORDS;
use crate::pipelines::{Pipelines, compile_all};
use crate::pool::{INVALID, Pool};
use crate::profile::KernelTime;
use crate::queue::Batch;
use crate::readback::{Staging, SubmissionFuture, elements};
use crate::recorder::Recorded;

/// The most steps that may be submitted and not yet finished.
const MAX_STEPS_AHEAD: usize = 2;

/// How long hardware may take for a submission. A driver resets a GPU that hangs much earlier, if it notices.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// An open GPU.
pub struct Context {
    adapter: Adapter,
    limits: Limits,
    info: wgpu::AdapterInfo,
    pub(crate) device: wgpu::Device,
    queue: wgpu::Queue,
    fault: Arc<Fault>,
    staging: Arc<Staging>,
    state: Mutex<State>,
}

struct State {
    pool: Pool,
    pipelines: Pipelines,
    batch: Batch,
    steps: VecDeque<SubmissionFuture>, // of the last steps
    reads: u64,
    writes: u64,
}

/// What a context has done and created so far. In a steady training loop only the first four numbers grow.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Recorded launches.
    pub launches: u64,
    /// Submissions, each of many launches.
    pub submits: u64,
    /// Reads to the host.
    pub reads: u64,
    /// Writes from the host, not counting the parameters of launches.
    pub writes: u64,
    /// Compiled kernels, one for each combination of constants.
    pub pipelines: u64,
    /// Created bind groups.
    pub bind_groups: u64,
    /// Buffers created for tensors.
    pub buffers: u64,
    /// The bytes of all these buffers now, including free ones.
    pub bytes: u64,
    /// The largest number of such bytes so far.
    pub peak_bytes: u64,
}

impl Context {
    /// Opens the best adapter that `options` and the environment variable `VAE_GPU`, a part of its name, allow.
    pub async fn open(options: Options) -> Result<Arc<Context>> {
        let (raw, adapter) = choose(options).await?;
        let refused = |what: &str| Error::Device { device: adapter.name.clone(), what: what.to_owned() };
        let (required_features, most) = (features(options, raw.features()).map_err(refused)?, raw.limits());
        let (device, queue) = raw
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("vae"),
                required_features,
                required_limits: match options.default_limits {
                    true => wgpu::Limits::default().or_worse_values_from(&most),
                    false => most,
                },
                ..Default::default()
            })
            .await
            .map_err(|error| refused(&format!("it does not open ({error}): update its driver, or use --device cpu")))?;

        let fault = Arc::new(Fault::new(adapter.name.clone(), time_limit(options, &adapter)));
        let (on_error, on_loss) = (fault.clone(), fault.clone());
        device.on_uncaptured_error(Arc::new(move |error| on_error.report(error)));
        device.set_device_lost_callback(move |_, why| on_loss.lost(&why));

        let f16 = required_features.contains(wgpu::Features::SHADER_F16);
        let limits = Limits { f16, ..limits(&device.limits(), &adapter, options) };
        let state = State {
            pool: Pool::new(4 * limits.buffer_len as u64),
            pipelines: Pipelines::new(options.checked),
            batch: Batch::new(device.clone(), queue.clone(), options.profile),
            steps: VecDeque::new(),
            reads: 0,
            writes: 0,
        };
        let (staging, state) = (Arc::default(), Mutex::new(state));
        let info = raw.get_info();
        Ok(Arc::new(Context { adapter, limits, info, device, queue, fault, staging, state }))
    }

    /// Keeps compiled kernels in a file of this folder, so that the next process starts faster. Only Vulkan needs and offers this. To
    /// be called before the first launch.
    pub fn cache_in(&self, folder: &Path) {
        lock(&self.state).pipelines.cache_in(&self.device, &self.info, folder);
    }

    /// Compiles the kernels of launches that were recorded by a [`Recorder`](crate::Recorder) with this device's limits, on all
    /// cores. After each, `watch` is called with the number of kernels that are compiled and of all that are to be.
    ///
    /// A kernel that cannot be compiled is a failure of the device, as if it had been launched.
    pub async fn compile(&self, launches: &[Recorded], watch: &(dyn Fn(usize, usize) + Sync)) {
        let sources = {
            let State { pipelines, batch, .. } = &mut *lock(&self.state);
            pipelines.missing(&self.device, &self.fault, batch.params.layout(), launches)
        };
        let compiled = compile_all(&sources, &self.device, &self.fault, watch).await;
        let State { pipelines, .. } = &mut *lock(&self.state);
        sources.into_iter().zip(compiled).for_each(|(source, pipeline)| pipelines.insert(source, pipeline));
        pipelines.save();
    }

    /// The adapter that was opened.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// How it cuts matrix products.
    pub fn tuning(&self) -> Tuning {
        let Limits { registers, target_workgroups, winograd, .. } = self.limits;
        Tuning { registers, target_workgroups, winograd }
    }

    /// What the context has done and created so far.
    pub fn counters(&self) -> Counters {
        let State { pool, pipelines, batch, reads, writes, .. } = &*lock(&self.state);
        Counters {
            launches: batch.launches,
            submits: batch.submits,
            reads: *reads,
            writes: *writes,
            pipelines: pipelines.pipelines,
            bind_groups: pipelines.bind_groups,
            buffers: pool.created,
            bytes: pool.bytes,
            peak_bytes: pool.peak,
        }
    }

    /// The time of each kernel since the last call, the longest first. Empty without [`Options::profile`]. Waits for all launches; in a
    /// browser it returns the times that have arrived.
    pub fn profile(&self) -> Vec<KernelTime> {
        let submission_index = lock(&self.state).batch.submit();
        self.fault.wait(&self.device, submission_index);
        lock(&self.state).batch.profiler().map(|profiler| profiler.take()).unwrap_or_default()
    }

    /// Returns the memory of free buffers to the system. This is useful after an evaluation, whose shapes are not needed again soon.
    pub fn trim(&self) {
        let State { pool, pipelines, batch, .. } = &mut *lock(&self.state);
        batch.submit();
        pool.trim();
        pipelines.trim(pool);
        self.staging.trim();
    }

    /// Gives the device up. All later work fails as if it had been lost.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Whether the device can run a launch. If it cannot, that is recorded as a failure of the device, not as a bug.
    fn accepts(&self, launch: &Launch<'_>) -> bool {
        let Launch { kernel, reads, writes, groups, .. } = launch;
        let (entry, buffers, most) = (kernel.entry, reads.len() + writes.len(), self.limits);
        if buffers > most.buffers as usize {
            let most = most.buffers;
            self.fault.record(format!(
                "kernel {entry} names {buffers} buffers, and this device takes {most}: use --device cpu"
            ));
        } else if groups.iter().any(|n| *n > most.groups) {
            let most = most.groups;
            self.fault.record(format!(
                "kernel {entry} runs over {groups:?} workgroups, and this device takes {most} along a dimension: \
                 lower train.batch_size, or use --device cpu"
            ));
        }
        !self.fault.failed()
    }
}

impl Accelerator for Context {
    fn name(&self) -> &str {
        &self.adapter.name
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn alloc(&self, shape: &Shape, dtype: Dtype) -> BufferId {
        match self.fault.failed() {
            true => INVALID,
            false => lock(&self.state).pool.alloc(&self.device, &self.fault, shape, dtype),
        }
    }

    fn free(&self, id: BufferId) {
        lock(&self.state).pool.free(id);
    }

    fn write(&self, id: BufferId, data: &[f32]) {
        if self.fault.failed() || data.is_empty() {
            return;
        }
        let State { pool, batch, writes, .. } = &mut *lock(&self.state);
        // wgpu would execute the upload before launches that were recorded earlier, which would then read the new elements.
        if pool.used_in(batch.number, id) {
            batch.submit();
        }
        batch.upload(pool.get(id), bytemuck::cast_slice(data));
        *writes += 1;
    }

    fn launch(&self, launch: Launch<'_>) {
        if self.fault.failed() {
            return; // the spans may name the invalid buffer
        }
        let Launch { kernel: Kernel { entry, .. }, reads, writes, params, groups, .. } = launch;
        assert!(params.len() <= WORDS, "kernel {entry}: {} params, at most {WORDS}", params.len());
        assert!(
            !writes.iter().any(|w| reads.iter().any(|r| r.buffer == w.buffer)),
            "kernel {entry}: a buffer is read and written; what is updated in place is listed under writes alone"
        );
        if groups.contains(&0) || !self.accepts(&launch) {
            return;
        }
        let State { pool, pipelines, batch, .. } = &mut *lock(&self.state);
        let ready = pipelines.prepare(&self.device, &self.fault, batch.params.layout(), pool, &launch);
        for span in reads.iter().chain(writes) {
            pool.use_in(batch.number, span.buffer);
        }
        if !self.fault.failed() {
            batch.launch(&ready, params, groups);
        }
    }

    fn read(&self, span: Span) -> Pending<Vec<f32>> {
        let State { pool, batch, reads, .. } = &mut *lock(&self.state);
        *reads += 1;
        let bytes = span.bytes();
        if self.fault.failed() || bytes == 0 {
            return Box::pin(ready(self.fault.check().map(|()| Vec::new())));
        }
        let host = self.staging.take(&self.device, &self.fault, bytes);
        let submission = batch.copy(pool.get(span.buffer), span.offset(), &host, bytes);
        let (submitted, completion) = SubmissionFuture::new(self.fault.clone(), self.device.clone(), submission);
        host.map_async(wgpu::MapMode::Read, ..bytes, move |mapped| {
            completion.complete(mapped.map_err(|e| e.to_string()))
        });
        Box::pin(elements(self.staging.clone(), self.fault.clone(), host, bytes, submitted))
    }

    fn end_step(&self) -> Pending<()> {
        let State { batch, steps, .. } = &mut *lock(&self.state);
        if let (false, Some(submission)) = (self.fault.failed(), batch.submit()) {
            let (submitted, completion) = SubmissionFuture::new(self.fault.clone(), self.device.clone(), submission);
            self.queue.on_submitted_work_done(move || completion.complete(Ok(())));
            steps.push_back(submitted);
        }
        let (behind, fault) = (too_far_behind(steps), self.fault.clone());
        Box::pin(async move {
            if let Some(step) = behind {
                step.await?;
            }
            fault.check()
        })
    }
}

/// Saves compiled kernels. wgpu waits for the queue's work when it is dropped, and a device that hangs would never finish it.
impl Drop for Context {
    fn drop(&mut self) {
        lock(&self.state).pipelines.save();
        if self.fault.hangs() {
            std::mem::forget((self.queue.clone(), self.device.clone()));
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("adapter", &self.adapter).finish_non_exhaustive()
    }
}

/// How long a submission may take. A software adapter is as slow as it is.
fn time_limit(options: Options, adapter: &Adapter) -> Option<Duration> {
    options.time_limit.or((!adapter.software).then_some(TIME_LIMIT))
}

/// The oldest step, which must finish before another may begin, if more than [`MAX_STEPS_AHEAD`] are submitted.
fn too_far_behind<T>(steps: &mut VecDeque<T>) -> Option<T> {
    if steps.len() > MAX_STEPS_AHEAD { steps.pop_front() } else { None }
}

/// What the device is opened with, of what its adapter offers.
fn features(options: Options, offered: wgpu::Features) -> std::result::Result<wgpu::Features, &'static str> {
    let timestamps = wgpu::Features::TIMESTAMP_QUERY;
    let used = wgpu::Features::PIPELINE_CACHE | wgpu::Features::SHADER_F16;
    match (options.profile, offered.contains(timestamps)) {
        (true, false) => Err("it has no timestamps (TIMESTAMP_QUERY): run without profiling"),
        (true, true) => Ok(offered & (used | timestamps)),
        (false, _) => Ok(offered & used),
    }
}

fn limits(all: &wgpu::Limits, adapter: &Adapter, options: Options) -> Limits {
    // Multiples of the size unit of buffers, and of a vec4: a span that is padded to a vec4 then stays within its buffer.
    let bytes = all.max_storage_buffer_binding_size.min(all.max_buffer_size) / 256 * 256;
    // With default limits even a software adapter stands for a small hardware one.
    let software = adapter.software && !options.default_limits;
    // A CPU that acts as a GPU reads workgroup memory slowly. A GPU whose subgroups may have 8 invocations (Intel's) has few registers.
    let registers = match (software, adapter.software, adapter.subgroup_min_size) {
        (true, ..) => 128,
        (_, false, 8) => 32,
        _ => 64,
    };
    let tuning = Tuning { registers, target_workgroups: if software { 16 } else { 256 }, winograd: true };
    let Tuning { registers, target_workgroups, winograd } = options.tuning.unwrap_or(tuning);
    Limits {
        buffer_len: (bytes / 4) as usize,
        alignment: all.min_storage_buffer_offset_alignment.max(16) as usize / 4,
        groups: all.max_compute_workgroups_per_dimension,
        buffers: all.max_storage_buffers_per_shader_stage,
        registers,
        target_workgroups,
        winograd,
        software,
        f16: false, // the limits do not say
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_used_and_offered_is_asked_for() {
        let timestamps = wgpu::Features::TIMESTAMP_QUERY;
        let used = wgpu::Features::PIPELINE_CACHE | wgpu::Features::SHADER_F16;
        let (plain, profile) = (Options::default(), Options { profile: true, ..Options::default() });
        let (all, none) = (wgpu::Features::all(), wgpu::Features::empty());
        assert_eq!((features(plain, all), features(plain, none)), (Ok(used), Ok(none)));
        assert_eq!((features(profile, all), features(profile, timestamps)), (Ok(timestamps | used), Ok(timestamps)));
        assert!(features(profile, used).is_err_and(|error| error.contains("TIMESTAMP_QUERY")));
    }

    #[test]
    fn hardware_has_a_time_limit() {
        let adapter = |software| Adapter { software, ..Adapter::default() };
        let second = Options { time_limit: Some(Duration::from_secs(1)), ..Options::default() };
        let limits = [false, true].map(|software| time_limit(Options::default(), &adapter(software)));
        assert_eq!(limits, [Some(Duration::from_secs(120)), None]);
        assert_eq!([false, true].map(|software| time_limit(second, &adapter(software))), [second.time_limit; 2]);
    }

    #[test]
    fn the_oldest_of_more_than_two_steps_is_waited_for() {
        let mut steps = VecDeque::from([1, 2]);
        assert_eq!(too_far_behind(&mut steps), None);
        steps.push_back(3);
        assert_eq!((too_far_behind(&mut steps), too_far_behind(&mut steps)), (Some(1), None));
        steps.extend([4, 5]);
        assert_eq!((too_far_behind(&mut steps), steps), (Some(2), VecDeque::from([3, 4, 5])));
    }

    /// Sizes are whole units, and a software adapter gets fewer but larger workgroups, unless it stands for hardware.
    #[test]
    fn limits_follow_from_those_of_the_adapter() {
        let all = wgpu::Limits {
            max_storage_buffer_binding_size: 4096 + 255,
            max_buffer_size: 1 << 20,
            min_storage_buffer_offset_alignment: 64,
            max_compute_workgroups_per_dimension: 77,
            max_storage_buffers_per_shader_stage: 9,
            ..wgpu::Limits::default()
        };
        let adapter = |software| Adapter { name: "a".into(), software, ..Adapter::default() };
        let small = Options { default_limits: true, ..Options::default() };
        let hardware = limits(&all, &adapter(false), Options::default());
        assert_eq!((hardware.buffer_len, hardware.alignment), (1024, 16));
        assert_eq!((hardware.groups, hardware.buffers, hardware.software), (77, 9, false));
        assert_eq!(format!("{:?}", limits(&all, &adapter(true), small)), format!("{hardware:?}"));
        let software = limits(&all, &adapter(true), Options::default());
        assert!(software.software && software.registers > hardware.registers);
        assert!(software.target_workgroups < hardware.target_workgroups);
        let narrow = |software| Adapter { subgroup_min_size: 8, ..adapter(software) };
        let few = |adapter: &Adapter, options| limits(&all, adapter, options).registers;
        assert_eq!(
            (few(&narrow(false), Options::default()), few(&narrow(true), small), hardware.registers),
            (32, 64, 64)
        );
        let tuning = Some(Tuning { registers: 128, target_workgroups: 5, winograd: false });
        let tuned = limits(&all, &narrow(false), Options { tuning, ..small });
        assert_eq!((tuned.registers, tuned.target_workgroups, tuned.winograd), (128, 5, false));
        let tight = wgpu::Limits { max_buffer_size: 2048, min_storage_buffer_offset_alignment: 4, ..all };
        let tight = limits(&tight, &adapter(false), Options::default());
        assert_eq!((tight.buffer_len, tight.alignment), (512, 4), "an offset is a whole vec4");
    }
}
