//! What a context counts, how it batches its work, and what it refuses.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use pollster::block_on;
use tensor::{Accelerator, BufferId, Dtype, Kernel, Launch, Shape, Span};

use crate::tests::{ADD, CHAIN, accumulate, add, alloc, chain, open, read, shared, upload};
use crate::{Context, Counters, Options, Recorder};

/// The change of the counters while `run` runs.
fn counted(gpu: &Context, run: impl FnOnce()) -> Counters {
    let before = gpu.counters();
    run();
    let after = gpu.counters();
    Counters {
        launches: after.launches - before.launches,
        submits: after.submits - before.submits,
        reads: after.reads - before.reads,
        writes: after.writes - before.writes,
        pipelines: after.pipelines - before.pipelines,
        bind_groups: after.bind_groups - before.bind_groups,
        buffers: after.buffers - before.buffers,
        bytes: after.bytes - before.bytes,
        peak_bytes: after.peak_bytes - before.peak_bytes,
    }
}

#[test]
fn everything_is_counted() {
    let gpu = open(Options::default());
    let [mut a, mut out] = [None, None];
    let uploads = counted(&gpu, || {
        a = Some(upload(&gpu, &[1.0; 8]));
        out = Some(alloc(&gpu, 300));
    });
    // 8 numbers take 256 bytes, and 300 take 1200, rounded up to 1280.
    let expected = Counters { writes: 1, buffers: 2, bytes: 1536, peak_bytes: 1536, ..Counters::default() };
    assert_eq!(uploads, expected);
    let (a, out) = (a.unwrap(), Span { len: 8, ..out.unwrap() });
    let launches = counted(&gpu, || {
        [1.0, 2.0, 1.0].into_iter().for_each(|scale| add(&gpu, a, a, out, scale, 0.0));
        accumulate(&gpu, a, out);
    });
    // `add` has two combinations of constants; both kernels have their own bind group.
    assert_eq!(launches, Counters { launches: 4, pipelines: 3, bind_groups: 2, ..Counters::default() });
    let reads = counted(&gpu, || assert_eq!(read(&gpu, out), [3.0; 8]));
    assert_eq!(reads, Counters { submits: 1, reads: 1, ..Counters::default() });
    let nothing = counted(&gpu, || {
        gpu.write(a.buffer, &[]);
        gpu.free(out.buffer);
        gpu.free(a.buffer);
        assert_eq!(alloc(&gpu, 5).buffer, a.buffer, "the free buffer of the same class with the lowest number");
    });
    assert_eq!(nothing, Counters::default());
}

/// 256 launches are submitted together, without waiting for a read.
#[test]
fn launches_are_submitted_in_batches() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[0.0]);
    let submits = |launches: usize| counted(&gpu, || (0..launches).for_each(|_| chain(&gpu, x, 1.0, 1.0))).submits;
    assert_eq!([submits(255), submits(1), submits(512), submits(100)], [0, 1, 2, 0]);
    assert_eq!(read(&gpu, x), [868.0]);
}

/// A write to a buffer that no recorded launch uses does not submit; one to a buffer in use does.
#[test]
fn a_write_submits_only_what_must_run_before_it() {
    let gpu = open(Options::default());
    let (x, y, sum) = (upload(&gpu, &[1.0; 4]), upload(&gpu, &[1.0; 4]), upload(&gpu, &[0.0; 4]));
    let _ = read(&gpu, y);
    accumulate(&gpu, x, sum);
    assert_eq!(counted(&gpu, || gpu.write(y.buffer, &[2.0; 4])).submits, 0);
    assert_eq!(counted(&gpu, || gpu.write(x.buffer, &[3.0; 4])).submits, 1);
    assert_eq!(counted(&gpu, || gpu.write(x.buffer, &[5.0; 4])).submits, 0);
    assert_eq!([read(&gpu, sum), read(&gpu, x), read(&gpu, y)], [[1.0; 4], [5.0; 4], [2.0; 4]]);
}

/// wgpu keeps a copy of what is uploaded until it is submitted. 64 MiB are too much.
#[test]
fn many_uploads_are_submitted_without_launches() {
    let gpu = open(Options::default());
    let data = vec![1.0; 4 << 20]; // 16 MiB
    let x = alloc(&gpu, data.len());
    let submits = |times: usize| counted(&gpu, || (0..times).for_each(|_| gpu.write(x.buffer, &data))).submits;
    assert_eq!([submits(3), submits(1), submits(3), submits(5)], [0, 1, 0, 2]);
    assert_eq!(counted(&gpu, || drop(block_on(gpu.end_step()))).submits, 0, "nothing is left");
}

#[test]
fn a_tensor_as_large_as_the_device_allows_is_allowed() {
    let gpu = open(Options { default_limits: true, ..Options::default() });
    let most = gpu.limits().buffer_len;
    let largest = Span { start: most - 1, len: 1, ..alloc(&gpu, most) };
    assert!(read(&gpu, largest).len() == 1);
    assert_eq!(gpu.counters().bytes, 4 * most as u64);
    alloc(&gpu, most + 1);
    assert!(block_on(gpu.read(largest)).is_err());
}

/// A shader with this many buffers, all of which are written.
fn of_buffers(count: usize) -> &'static Kernel {
    let bindings: String =
        (0..count).map(|i| format!("@group(0) @binding({i}) var<storage, read_write> b{i}: array<f32>;\n")).collect();
    let sum: String = (0..count).map(|i| format!("b{i}[0] = {i}.0;\n")).collect();
    let text = format!("{bindings} @compute @workgroup_size(1) fn many() {{ {sum} }}");
    let sources: &'static [&'static str] = Vec::leak(vec![String::leak(text) as &'static str]);
    Box::leak(Box::new(Kernel { wgsl: sources, entry: "many", unchecked: false, any_dtype: false }))
}

#[test]
fn as_many_buffers_and_workgroups_as_the_device_takes_are_taken() {
    let gpu = open(Options { default_limits: true, ..Options::default() });
    let most = gpu.limits().buffers as usize;
    let spans: Vec<Span> = (0..=most).map(|_| upload(&gpu, &[9.0; 4])).collect();
    let run = |count: usize| {
        let (kernel, writes) = (of_buffers(count), &spans[..count]);
        gpu.launch(Launch { kernel, constants: &[], reads: &[], writes, params: &[], groups: [1, 1, 1] });
    };
    run(most);
    assert_eq!(read(&gpu, spans[most - 1])[0], (most - 1) as f32);
    let x = upload(&gpu, &[1.0]);
    let groups = [gpu.limits().groups, 1, 1];
    let params = [1.0_f32.to_bits(), 0.0_f32.to_bits()];
    gpu.launch(Launch { kernel: &CHAIN, constants: &[], reads: &[], writes: &[x], params: &params, groups });
    assert_eq!(read(&gpu, x), [1.0]);
    run(most + 1);
    let error = block_on(gpu.read(x)).unwrap_err().to_string();
    let words = format!("kernel many names {} buffers, and this device takes {most}", most + 1);
    assert!(error.contains(&words), "{error}");
    // After a failure nothing is launched or written.
    let after = counted(&gpu, || {
        chain(&gpu, x, 1.0, 1.0);
        gpu.write(x.buffer, &[3.0]);
    });
    assert_eq!(after, Counters::default());
}

#[test]
#[should_panic(expected = "kernel chain: 65 params, at most 64")]
fn more_parameters_than_fit_are_a_bug() {
    let gpu = shared();
    let x = upload(gpu, &[1.0]);
    gpu.launch(Launch { kernel: &CHAIN, constants: &[], reads: &[], writes: &[x], params: &[0; 65], groups: [1; 3] });
}

#[test]
fn sixty_four_parameters_fit() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[1.0]);
    let mut params = [0; 64];
    params[..2].copy_from_slice(&[2.0_f32.to_bits(), 3.0_f32.to_bits()]);
    gpu.launch(Launch { kernel: &CHAIN, constants: &[], reads: &[], writes: &[x], params: &params, groups: [1; 3] });
    assert_eq!(read(&gpu, x), [5.0]);
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The first poll of a read waits for the device, so that no other thread has to.
#[test]
fn a_read_is_ready_when_it_is_polled() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[7.0]);
    let count = Arc::new(Count(AtomicU32::new(0)));
    let waker = Waker::from(count.clone());
    let mut future = pin!(gpu.read(x));
    let polled = future.as_mut().poll(&mut std::task::Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Ready(Ok(numbers)) if numbers == [7.0]));
    assert_eq!(count.0.load(Ordering::SeqCst), 0, "nobody waited");
}

/// Waiting for a step is waiting for the one two steps before, and the names of a context are those of its adapter.
#[test]
fn a_context_describes_itself() {
    let gpu = shared();
    assert_eq!(gpu.name(), gpu.adapter().name);
    let shown = format!("{gpu:?}");
    assert!(shown.starts_with("Context { adapter: Adapter {") && shown.contains(gpu.name()), "{shown}");
    assert!(gpu.limits().buffer_len > 1 << 20 && gpu.limits().alignment >= 4);
}

/// A kernel with other constants is another one, also where only the sign of a zero or the name differs.
#[test]
fn constants_are_told_apart_by_bits() {
    let gpu = open(Options::default());
    let (a, out) = (upload(&gpu, &[1.0; 4]), alloc(&gpu, 4));
    let compiled = |scale: f64| counted(&gpu, || add(&gpu, a, a, out, scale, 0.0)).pipelines;
    assert_eq!([0.0, -0.0, 0.0, -0.0, 2.0, 2.0].map(compiled), [1, 1, 0, 0, 1, 0]);
}

#[test]
fn a_recorder_tells_its_tensors_apart() {
    let recorder = Recorder::new(shared().limits());
    let [a, b, c] = [1, 2, 2].map(|len| recorder.alloc(&Shape::new(&[len]), Dtype::F32));
    assert!(a != b && b != c && a != c && [a, b, c].iter().all(|id| id.0 < 100), "{a:?} {b:?} {c:?}");
    assert_eq!(recorder.name(), "recorder");
}

/// Kernels are the same if both their code and their constants are.
#[test]
fn every_kernel_is_compiled_once() {
    let gpu = open(Options::default());
    let recorder = Recorder::new(gpu.limits());
    let x = Span { buffer: BufferId(1), start: 0, len: 4, dtype: Dtype::F32 };
    let [plain, scaled] = [vec![], vec![("scale", 2.0)]];
    let record = |kernel, constants: &[_], reads: &[Span]| {
        let out = Span { buffer: BufferId(2), ..x };
        recorder.launch(Launch { kernel, constants, reads, writes: &[out], params: &[4, 0], groups: [1, 1, 1] });
    };
    record(&CHAIN, &plain, &[]);
    record(&ADD, &plain, &[x, x]);
    record(&ADD, &scaled, &[x, x]);
    record(&ADD, &scaled, &[x, x]);
    let told = Mutex::new(Vec::new());
    block_on(gpu.compile(&recorder.take(), &|_, all| told.lock().unwrap().push(all)));
    assert_eq!((told.into_inner().unwrap(), gpu.counters().pipelines), (vec![3; 3], 3));
}

/// Compiled kernels are found by later launches, and the file of the cache is written where the driver offers one.
#[test]
fn recorded_kernels_are_compiled_ahead() {
    let gpu = open(Options::default());
    let folder = std::env::temp_dir().join(format!("gpu-cache-{}", std::process::id()));
    gpu.cache_in(&folder);
    let recorder = Recorder::new(gpu.limits());
    let spans = [1, 2].map(|id| Span { buffer: BufferId(id), start: 0, len: 8, dtype: Dtype::F32 });
    for factor in [2.0_f32, 3.0, 2.0] {
        let (kernel, params) = (&CHAIN, [factor.to_bits(), 0]);
        recorder.launch(Launch {
            kernel,
            constants: &[],
            reads: &[],
            writes: &spans[..1],
            params: &params,
            groups: [1, 1, 1],
        });
    }
    let launches = recorder.take();
    assert_eq!((launches.len(), launches[0].buffers, launches[0].written), (3, [0, 1], 32));
    assert!(recorder.take().is_empty());
    let told = Mutex::new(Vec::new());
    block_on(gpu.compile(&launches, &|done, all| told.lock().unwrap().push((done, all))));
    assert_eq!(*told.lock().unwrap(), [(1, 1)], "one kernel with equal constants");
    block_on(gpu.compile(&launches, &|_, _| panic!("it is compiled")));
    let x = upload(&gpu, &[1.0; 4]);
    let made = counted(&gpu, || chain(&gpu, x, 2.0, 1.0));
    assert_eq!((made.pipelines, made.launches), (0, 1));
    assert_eq!(read(&gpu, x)[0], 3.0);
    let offered = gpu.device.features().contains(wgpu::Features::PIPELINE_CACHE);
    let files = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(files(), usize::from(offered), "written once");
    drop(gpu);
    if offered {
        // A damaged file is not used.
        let file = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
        std::fs::write(&file, b"damaged").unwrap();
        let gpu = open(Options::default());
        gpu.cache_in(&folder);
        block_on(gpu.compile(&launches, &|_, _| ()));
        let x = upload(&gpu, &[1.0; 4]);
        chain(&gpu, x, 2.0, 1.0);
        assert_eq!(read(&gpu, x)[0], 3.0);
        assert!(std::fs::read(&file).unwrap().len() > 7, "it is written anew");
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn adapters_are_listed() {
    let all = block_on(crate::adapters());
    assert!(all.contains(shared().adapter()), "{all:?}");
    assert!(all.iter().all(|a| a.buffers > 0 && (a.software || !a.name.contains("llvmpipe"))), "{all:?}");
}
