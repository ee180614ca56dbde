//! Tests of the context with small kernels of their own. They need an adapter, which may be a software one.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pollster::block_on;
use tensor::{Accelerator, BufferId, Dtype, Error, Kernel, Launch, Shape, Span};

use crate::{Context, Options};

/// out = a + b·scale + bias
pub(crate) static ADD: Kernel = Kernel {
    wgsl: &[
        "struct Params { len: u32, bias: f32 }
         @group(0) @binding(0) var<storage, read> a: array<f32>;
         @group(0) @binding(1) var<storage, read> b: array<f32>;
         @group(0) @binding(2) var<storage, read_write> out: array<f32>;
         @group(1) @binding(0) var<uniform> p: Params;",
        "override scale: f32 = 1.0;
         @compute @workgroup_size(64)
         fn add(@builtin(global_invocation_id) id: vec3u) {
             if id.x < p.len { out[id.x] = a[id.x] + b[id.x] * scale + p.bias; }
         }",
    ],
    entry: "add",
    unchecked: false,
    any_dtype: false,
};

/// sum += x
static ACCUMULATE: Kernel = Kernel {
    wgsl: &["struct Params { len: u32 }
         @group(0) @binding(0) var<storage, read> x: array<f32>;
         @group(0) @binding(1) var<storage, read_write> sum: array<f32>;
         @group(1) @binding(0) var<uniform> p: Params;
         @compute @workgroup_size(64)
         fn accumulate(@builtin(global_invocation_id) id: vec3u) {
             if id.x < p.len { sum[id.x] += x[id.x]; }
         }"],
    entry: "accumulate",
    unchecked: false,
    any_dtype: false,
};

/// last[0] = last[0]·factor + value: wrong in any other order, or with another launch's numbers
pub(crate) static CHAIN: Kernel = Kernel {
    wgsl: &["struct Params { factor: f32, value: f32 }
         @group(0) @binding(0) var<storage, read_write> last: array<f32>;
         @group(1) @binding(0) var<uniform> p: Params;
         @compute @workgroup_size(1)
         fn chain() { last[0] = last[0] * p.factor + p.value; }"],
    entry: "chain",
    unchecked: false,
    any_dtype: false,
};

static BROKEN: Kernel = Kernel {
    wgsl: &["@group(0) @binding(0) var<storage, read_write> x: array<f32>;
         @compute @workgroup_size(1) fn broken() { x[0] = missing; }"],
    entry: "broken",
    unchecked: false,
    any_dtype: false,
};

pub(crate) fn open(options: Options) -> Arc<Context> {
    block_on(Context::open(options)).unwrap_or_else(|error| panic!("{error}"))
}

/// One device that all tests share which do not make it fail.
pub(crate) fn shared() -> &'static Arc<Context> {
    static SHARED: OnceLock<Arc<Context>> = OnceLock::new();
    SHARED.get_or_init(|| open(Options::default()))
}

pub(crate) fn alloc(gpu: &Context, len: usize) -> Span {
    Span { buffer: gpu.alloc(&Shape::new(&[len]), Dtype::F32), start: 0, len, dtype: Dtype::F32 }
}

pub(crate) fn upload(gpu: &Context, data: &[f32]) -> Span {
    let span = alloc(gpu, data.len());
    gpu.write(span.buffer, data);
    span
}

pub(crate) fn read(gpu: &Context, span: Span) -> Vec<f32> {
    block_on(gpu.read(span)).unwrap()
}

pub(crate) fn add(gpu: &Context, a: Span, b: Span, out: Span, scale: f64, bias: f32) {
    gpu.launch(Launch {
        kernel: &ADD,
        constants: &[("scale", scale)],
        reads: &[a, b],
        writes: &[out],
        params: &[out.len as u32, bias.to_bits()],
        groups: [out.len.div_ceil(64) as u32, 1, 1],
    });
}

pub(crate) fn accumulate(gpu: &Context, x: Span, sum: Span) {
    gpu.launch(Launch {
        kernel: &ACCUMULATE,
        constants: &[],
        reads: &[x],
        writes: &[sum],
        params: &[x.len as u32],
        groups: [x.len.div_ceil(64) as u32, 1, 1],
    });
}

pub(crate) fn chain(gpu: &Context, last: Span, factor: f32, value: f32) {
    gpu.launch(Launch {
        kernel: &CHAIN,
        constants: &[],
        reads: &[],
        writes: &[last],
        params: &[factor.to_bits(), value.to_bits()],
        groups: [1, 1, 1],
    });
}

#[test]
fn adds_with_params_and_constants() {
    let gpu = shared();
    let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]);
    let (a, b, out) = (upload(gpu, &a), upload(gpu, &b), alloc(gpu, 5));
    add(gpu, a, b, out, 1.0, 0.5);
    assert_eq!(read(gpu, out), [11.5, 22.5, 33.5, 44.5, 55.5]);
    add(gpu, a, b, out, -2.0, 0.0);
    assert_eq!(read(gpu, out), [-19.0, -38.0, -57.0, -76.0, -95.0]);
}

/// wgpu executes uploads before launches that were recorded earlier, unless these are submitted first.
#[test]
fn a_write_waits_for_the_launches_before_it() {
    let gpu = shared();
    let sizes: Vec<usize> = (0..500).map(|i| 1 + i * 37 % 1999).collect();
    let x = alloc(gpu, 1999);
    let sums: Vec<Span> = sizes.iter().map(|&len| upload(gpu, &vec![0.5; len])).collect();
    for (i, (&len, &sum)) in sizes.iter().zip(&sums).enumerate() {
        gpu.write(x.buffer, &vec![i as f32; len]);
        accumulate(gpu, Span { len, ..x }, sum);
    }
    for (i, (&len, &sum)) in sizes.iter().zip(&sums).enumerate() {
        assert_eq!(read(gpu, sum), vec![i as f32 + 0.5; len], "upload {i}");
    }
}

/// The same through the pool: the buffer was freed by its first tensor, whose launch is recorded and not yet submitted.
#[test]
fn a_write_into_a_reused_buffer_waits_too() {
    let gpu = open(Options::default());
    let sum = upload(&gpu, &[0.0; 8]);
    let first = upload(&gpu, &[1.0; 8]);
    accumulate(&gpu, first, sum);
    gpu.free(first.buffer);
    let second = upload(&gpu, &[100.0; 8]);
    assert_eq!(second.buffer, first.buffer);
    assert_eq!(read(&gpu, sum), [1.0; 8]);
}

#[test]
fn equal_steps_create_nothing() {
    let gpu = open(Options::default());
    let weights = upload(&gpu, &[1.0; 300]);
    let step = |i: usize| {
        let batch = upload(&gpu, &[1.0; 300]);
        let mut kept = vec![batch];
        for layer in 0..20 {
            let out = alloc(&gpu, 300);
            add(&gpu, *kept.last().unwrap(), weights, out, (layer % 3) as f64, 0.0);
            kept.push(out);
        }
        // Freed in another order in each step, as when a hash map is dropped.
        kept.sort_by_key(|span| span.buffer.0 * (2 * i as u64 + 3) % 23);
        kept.into_iter().for_each(|span| gpu.free(span.buffer));
        block_on(gpu.end_step()).unwrap();
    };
    let made = || {
        let c = gpu.counters();
        (c.pipelines, c.bind_groups, c.buffers, c.bytes)
    };
    (0..5).for_each(&step);
    let before = made();
    (5..25).for_each(step);
    assert_eq!(made(), before);
    assert_eq!(gpu.counters().launches, 500);
}

#[test]
fn trimming_frees_and_forgets() {
    let gpu = open(Options::default());
    let allocated = || gpu.device.generate_allocator_report().map(|report| report.total_allocated_bytes);
    let len = 1 << 20;
    let (a, b, out) = (upload(&gpu, &vec![1.0; len]), upload(&gpu, &vec![2.0; len]), alloc(&gpu, len));
    add(&gpu, a, b, out, 1.0, 0.0);
    accumulate(&gpu, b, out);
    assert_eq!(read(&gpu, Span { len: 2, ..out }), [5.0; 2]);
    let (before, held) = (allocated(), gpu.counters().bytes);
    gpu.free(a.buffer);
    gpu.trim();
    let after = gpu.counters();
    assert_eq!((after.bytes, after.peak_bytes), (held / 3 * 2, held));
    assert_eq!(read(&gpu, Span { len: 2, ..out }), [5.0; 2]);
    if let (Some(before), Some(now)) = (before, allocated()) {
        assert!(now + 4 * len as u64 <= before, "{now} of {before} bytes are allocated still");
    }
    let a = upload(&gpu, &vec![5.0; len]);
    add(&gpu, a, b, out, 1.0, 0.0);
    accumulate(&gpu, b, out);
    assert_eq!(read(&gpu, out), vec![9.0; len]);
    assert_eq!(gpu.counters().bind_groups, 3, "the group of b and out is kept, that of a is made again");
}

#[test]
fn a_tensor_too_large_is_named_and_everything_after_is_void() {
    let gpu = open(Options { default_limits: true, ..Options::default() });
    let small = upload(&gpu, &[1.0; 8]);
    let shape = Shape::new(&[4096, 64, 32, 32]);
    assert!(shape.count() > gpu.limits().buffer_len);
    let large = Span { buffer: gpu.alloc(&shape, Dtype::F32), ..alloc(&gpu, 4) };
    let expected = format!(
        "{}: tensor [4096, 64, 32, 32] takes 1024.0 MiB, and a buffer of this device at most 128.0 MiB: \
         lower train.batch_size, or use --device cpu",
        gpu.name()
    );
    for _ in 0..2 {
        gpu.write(large.buffer, &[1.0]);
        add(&gpu, small, large, alloc(&gpu, 8), 1.0, 0.0);
        assert_eq!(block_on(gpu.read(large)).unwrap_err().to_string(), expected);
        assert_eq!(block_on(gpu.read(small)).unwrap_err().to_string(), expected);
        assert_eq!(block_on(gpu.end_step()).unwrap_err().to_string(), expected);
        gpu.free(large.buffer);
    }
}

/// The message of a device without memory. A test cannot exhaust a real device.
#[test]
fn without_memory_the_tensor_is_named() {
    let fault = crate::fault::Fault::new("a gpu".into(), None);
    let error = || wgpu::Error::OutOfMemory { source: "no".into() };
    fault.while_doing("tensor [2, 3] of 1.0 MiB, with 7.0 MiB held".into(), || fault.report(error()));
    fault.report(error());
    assert_eq!(
        fault.check().unwrap_err().to_string(),
        "a gpu: tensor [2, 3] of 1.0 MiB, with 7.0 MiB held: out of memory: lower train.batch_size, \
         or use --device cpu"
    );
}

/// x = a late number of a chain, which takes about a millisecond: Mesa ends a loop after 65536 rounds.
static LONG: Kernel = Kernel {
    wgsl: &["struct Params { n: u32 }
         @group(0) @binding(0) var<storage, read_write> x: array<f32>;
         @group(1) @binding(0) var<uniform> p: Params;
         @compute @workgroup_size(1)
         fn long() {
             for (var i = 0u; i < p.n; i++) { for (var j = 0u; j < 10000; j++) { x[0] = sin(x[0] + 1.0); } }
         }"],
    entry: "long",
    unchecked: false,
    any_dtype: false,
};

/// A submission that takes longer than allowed is a failure. It is seen by a read and by the end of a step, and dropping the
/// device does not wait for the rest.
#[test]
fn a_device_that_hangs_is_given_up() {
    let limit = Duration::from_millis(500); // a busy machine reads four numbers within that
    let gpu = open(Options { time_limit: Some(limit), ..Options::default() });
    let x = upload(&gpu, &[1.0; 4]);
    assert_eq!(read(&gpu, x), [1.0; 4], "what ends in time is no failure");
    // One launch, so that nothing runs before the read submits it. It needs seconds.
    let (kernel, groups) = (&LONG, [6000, 1, 1]);
    gpu.launch(Launch { kernel, constants: &[], reads: &[], writes: &[x], params: &[200], groups });
    let start = Instant::now();
    let expected =
        format!("{}: it did not finish its work within 0.5 s, so it hangs or has too much of it: ", gpu.name());
    let error = block_on(gpu.read(x)).unwrap_err().to_string();
    assert!(error.starts_with(&expected), "{error}");
    assert!(block_on(gpu.end_step()).is_err());
    drop(gpu);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn a_device_that_is_given_up_is_lost() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[1.0; 4]);
    gpu.destroy();
    add(&gpu, x, x, alloc(&gpu, 4), 1.0, 0.0);
    let error = block_on(gpu.read(x)).unwrap_err().to_string();
    assert!(error.contains("the device was lost ("), "{error}");
    assert!(block_on(gpu.end_step()).is_err());
}

#[test]
fn a_refused_shader_is_named() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[1.0; 4]);
    for _ in 0..2 {
        let (kernel, groups) = (&BROKEN, [1, 1, 1]);
        gpu.launch(Launch { kernel, constants: &[], reads: &[], writes: &[x], params: &[], groups });
    }
    let Err(Error::Device { what, .. }) = block_on(gpu.read(x)) else { panic!("the shader was taken") };
    assert!(what.starts_with("kernel broken: ") && what.contains("missing"), "{what}");
    assert!(block_on(gpu.end_step()).is_err());
}

#[test]
fn reads_come_in_any_order() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[0.0]);
    let mut reads: Vec<_> = (0..6)
        .map(|i| {
            chain(&gpu, x, 0.0, i as f32);
            (i, gpu.read(x))
        })
        .collect();
    drop(reads.remove(2));
    for (i, read) in reads.into_iter().rev() {
        assert_eq!(block_on(read).unwrap(), [i as f32]);
    }
    drop(gpu.read(x));
    assert_eq!(read(&gpu, x), [5.0]);
    assert_eq!(read(&gpu, Span { len: 0, ..x }), []);
    assert_eq!(gpu.counters().reads, 9);
}

#[test]
fn more_launches_than_a_batch_keep_their_params_and_order() {
    let gpu = shared();
    let x = upload(gpu, &[1.0]);
    let mut expected = 1.0_f32;
    for i in 0..2000 {
        let (factor, value) = ((i % 7) as f32 * 0.25 - 0.75, i as f32);
        chain(gpu, x, factor, value);
        expected = expected * factor + value;
    }
    let found = read(gpu, x)[0]; // a device may fuse the product and the sum
    assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{found} instead of {expected}");
}

#[test]
fn spans_start_anywhere_aligned() {
    let gpu = shared();
    let step = gpu.limits().alignment;
    let data: Vec<f32> = (0..3 * step + 5).map(|i| i as f32).collect();
    let x = upload(gpu, &data);
    let (a, b) = (Span { start: step, len: 5, ..x }, Span { start: 3 * step, len: 5, ..x });
    let out = upload(gpu, &vec![-1.0; 2 * step]);
    add(gpu, a, b, Span { start: step, len: 5, ..out }, 1.0, 0.0);
    let sums: Vec<f32> = (0..5).map(|i| data[step + i] + data[3 * step + i]).collect();
    assert_eq!(read(gpu, Span { start: step, len: 5, ..out }), sums);
    assert_eq!(read(gpu, Span { start: 1, len: 3, ..x }), [1.0, 2.0, 3.0]);
    assert_eq!(read(gpu, Span { len: step, ..out }), vec![-1.0; step]);
}

#[test]
fn a_profile_times_every_kernel() {
    let gpu = match block_on(Context::open(Options { profile: true, ..Options::default() })) {
        Ok(gpu) => gpu,
        Err(error) => {
            assert!(error.to_string().contains("TIMESTAMP_QUERY"), "{error}");
            return;
        }
    };
    let (a, out, start) = (upload(&gpu, &[1.0; 5000]), alloc(&gpu, 5000), std::time::Instant::now());
    assert_eq!(read(&gpu, a), [1.0; 5000]); // a submission without launches
    for i in 0..300 {
        add(&gpu, a, a, out, f64::from(i % 3), 0.0);
        accumulate(&gpu, a, out);
    }
    assert_eq!(read(&gpu, out), [4.0; 5000]);
    let times = gpu.profile();
    let mut counts: Vec<_> = times.iter().map(|t| (t.name.as_str(), t.count)).collect();
    counts.sort();
    assert_eq!(counts, [("accumulate", 300), ("add scale=0", 100), ("add scale=1", 100), ("add scale=2", 100)]);
    assert!(times.iter().all(|t| t.seconds > 0.0), "{times:?}");
    assert!(times.iter().all(|t| t.seconds < start.elapsed().as_secs_f64()), "{times:?}");
    assert!(times.is_sorted_by(|a, b| a.seconds >= b.seconds));
    assert_eq!(gpu.profile(), []);
    assert_eq!(shared().profile(), []);
}

#[test]
fn what_a_device_cannot_run_is_named() {
    let gpu = open(Options { default_limits: true, ..Options::default() });
    let x = upload(&gpu, &[1.0]);
    let run = |groups| {
        gpu.launch(Launch { kernel: &CHAIN, constants: &[], reads: &[], writes: &[x], params: &[0, 0], groups });
    };
    run([0, 1, 1]);
    assert_eq!(read(&gpu, x), [1.0]);
    run([1, 65_536, 1]);
    let error = block_on(gpu.read(x)).unwrap_err().to_string();
    assert!(error.contains("kernel chain runs over [1, 65536, 1] workgroups"), "{error}");
}

#[test]
#[should_panic(expected = "kernel accumulate: a buffer is read and written")]
fn reading_what_is_written_is_a_bug() {
    let gpu = shared();
    let x = upload(gpu, &[1.0; 4]);
    accumulate(gpu, x, x);
}

#[test]
fn no_more_than_two_steps_are_ahead_and_recorded_work_may_be_dropped() {
    let gpu = open(Options::default());
    let x = upload(&gpu, &[0.0]);
    for i in 0..10 {
        chain(&gpu, x, 1.0, i as f32);
        block_on(gpu.end_step()).unwrap();
    }
    assert_eq!(read(&gpu, x), [45.0]);
    let unread = gpu.read(x);
    chain(&gpu, x, 1.0, 1.0);
    drop(gpu);
    assert_eq!(block_on(unread).unwrap(), [45.0]);
}

#[test]
fn an_empty_tensor_has_a_buffer() {
    let gpu = shared();
    let empty = alloc(gpu, 0);
    assert_ne!(empty.buffer, BufferId(u64::MAX));
    gpu.write(empty.buffer, &[]);
    assert_eq!(read(gpu, empty), []);
}
