//! This library's part of `benches/compare_gpu.sh`: a training step of the first paper's model, and each of its kernels, on a
//! GPU.
//!
//!     cargo run --release -p benches --bin compare_gpu [BATCH] [--profile | --kernels | --two] [--small] [--f16]
//!
//! Prints one line of JSON: the seconds of the first step (with compilation) and of a step in a steady loop, the launches per
//! step, and the objects that the loop creates (none after a few steps). `--profile` times every launch instead and prints a
//! table, `--kernels` prints the rates of single kernels, and `--two` is this library's part of `benches/compare_burn.sh`.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use benches::Step;
use gpu::{Context, Options};
use pollster::block_on;
use tensor::{Accelerator, Conv, Device, Dtype, Generator, Kernel, Launch, Span, Tensor};
use vae::config::Precision;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let batch = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(64);
    let profile = has("--profile");
    let context = block_on(Context::open(Options { profile, ..Options::default() }));
    let context = context.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    let device = Device::Gpu(context.clone());
    if has("--kernels") {
        return kernels(&context, &device);
    }
    if has("--two") {
        return two(&device);
    }
    let mut config =
        benches::config(if has("--small") { "quickstart" } else { "beta-resnet18" }).expect("a known name");
    if has("--f16") {
        config.train.precision = Precision::F16;
    }
    let mut step = Step::new(&config, batch, &device);
    let start = Instant::now();
    step.train();
    step.latest();
    let first = start.elapsed().as_secs_f64();
    (0..4).for_each(|_| step.train());
    step.latest();
    let _ = context.profile(); // starts the profile
    let before = context.counters();

    // Enough steps for one second, and at least three.
    let start = Instant::now();
    let mut steps = 0;
    while steps < 3 || (start.elapsed().as_secs_f64() < 1.0 && steps < 200) {
        step.train();
        steps += 1;
    }
    let loss = step.latest();
    let seconds = start.elapsed().as_secs_f64() / f64::from(steps);
    let after = context.counters();
    let made = (after.pipelines - before.pipelines)
        + (after.bind_groups - before.bind_groups)
        + (after.buffers - before.buffers);
    if profile {
        let rows = context.profile();
        let all: f64 = rows.iter().map(|row| row.seconds).sum();
        println!("{:72} {:>8} {:>10} {:>6}", "kernel", "launches", "ms a step", "share");
        for row in rows {
            let (count, ms) = (row.count as f64 / f64::from(steps), 1e3 * row.seconds / f64::from(steps));
            println!("{:72} {count:>8.0} {ms:>10.3} {:>5.1}%", row.name, 100.0 * row.seconds / all);
        }
        return;
    }
    println!(
        "{{\"peer\": \"here\", \"adapter\": \"{}\", \"batch\": {batch}, \"first_step_s\": {first:.3}, \
         \"train_step_s\": {seconds:.6}, \"launches\": {}, \"made\": {made}, \"reads\": {}, \"loss\": {loss}, \
         \"peak_mb\": {:.0}}}",
        context.name(),
        (after.launches - before.launches) / steps as u64,
        after.reads - before.reads - 1, // without the read that ends the loop
        after.peak_bytes as f64 / 1e6
    );
}

/// Multiplications and additions in registers and nothing else: the peak rate that the kernels are compared with.
static PEAK: Kernel = Kernel {
    wgsl: &["
@group(0) @binding(0) var<storage, read_write> out: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: vec4<f32>;
@compute @workgroup_size(256)
fn peak(@builtin(global_invocation_id) id: vec3<u32>) {
    var a = array<vec4<f32>, 8>(p, p + 1.0, p + 2.0, p + 3.0, p + 4.0, p + 5.0, p + 6.0, p + 7.0);
    for (var i = 0u; i < 1024u; i++) {
        a[0] = a[0] * p.x + p.y; a[1] = a[1] * p.x + p.y; a[2] = a[2] * p.x + p.y; a[3] = a[3] * p.x + p.y;
        a[4] = a[4] * p.x + p.y; a[5] = a[5] * p.x + p.y; a[6] = a[6] * p.x + p.y; a[7] = a[7] * p.x + p.y;
    }
    out[id.x] = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}"],
    entry: "peak",
    unchecked: true,
    any_dtype: false,
};

/// Returns the FLOP per second of [`PEAK`], the best of five runs.
fn peak(context: &Context) -> f64 {
    const GROUPS: u32 = 1024;
    let invocations = 256 * GROUPS as usize;
    let shape = [4 * invocations].into();
    let buffer = context.alloc(&shape, Dtype::F32);
    let span = Span { buffer, start: 0, len: shape.count(), dtype: Dtype::F32 };
    let params = [0.5f32, 0.25, 0.0, 0.0].map(f32::to_bits);
    let seconds = (0..6).map(|_| {
        let start = Instant::now();
        let groups = [GROUPS, 1, 1];
        context.launch(Launch { kernel: &PEAK, constants: &[], reads: &[], writes: &[span], params: &params, groups });
        block_on(context.read(Span { len: 4, ..span })).expect("the GPU goes on");
        start.elapsed().as_secs_f64()
    });
    let best = seconds.skip(1).fold(f64::INFINITY, f64::min);
    context.free(span.buffer);
    (2 * 4 * 8 * 1024 * invocations) as f64 / best
}

/// Prints GFLOP/s of matrix products and convolutions (a multiply-add is two FLOP), and their share of the peak rate.
fn kernels(context: &Context, device: &Device) {
    let rng = &mut Generator::new(1);
    let peak = peak(context);
    println!("{:36} {:10} {:13.1} GFLOP/s", "multiply-adds in registers", "", peak / 1e9);
    let rate = |name: &str, flop: usize, body: &dyn Fn() -> Tensor| rate(name, flop, peak, body);
    for n in [512, 1024, 2048] {
        let (a, b) = (rng.normal_tensor([n, n]).upload(device), rng.normal_tensor([n, n]).upload(device));
        rate(&format!("matmul {n}"), 2 * n * n * n, &|| a.matmul(&b));
    }
    for (cin, cout, side, kernel, stride, padding) in [
        (64, 64, 16, 3, 1, 1),
        (128, 128, 8, 3, 1, 1),
        (256, 256, 4, 3, 1, 1),
        (512, 512, 2, 3, 1, 1),
        (64, 128, 16, 3, 2, 1),
    ] {
        let x = rng.normal_tensor([64, cin, side, side]).upload(device);
        let w = rng.normal_tensor([cout, cin, kernel, kernel]).upload(device);
        let conv = Conv { stride, padding };
        let dy = x.conv2d(&w, None, conv);
        let flop = 2 * dy.count() * cin * kernel * kernel;
        let name = format!("{cin}to{cout}@{side} k{kernel} s{stride}");
        rate(&format!("conv2d {name} y"), flop, &|| x.conv2d(&w, None, conv));
        rate(&format!("conv2d {name} dx"), flop, &|| dy.conv2d_input_gradient(&w, conv, [side, side]));
        rate(&format!("conv2d {name} dw"), flop, &|| x.conv2d_weight_gradient(&dy, conv, [kernel, kernel]));
    }
}

/// Times the two kernels that burn is compared on: seconds of the first call, and the median of seven more.
fn two(device: &Device) {
    let rng = &mut Generator::new(1);
    let seconds = |body: &dyn Fn() -> Tensor| {
        let time = || {
            let start = Instant::now();
            let result = body();
            block_on(result.reshape([result.count()]).slice(0, 0, 1).read()).expect("the GPU goes on");
            start.elapsed().as_secs_f64()
        };
        let first = time();
        let mut times: Vec<f64> = (0..9).map(|_| time()).skip(2).collect();
        times.sort_by(f64::total_cmp);
        (first, times[times.len() / 2])
    };
    let (a, b) = (rng.normal_tensor([512, 512]).upload(device), rng.normal_tensor([512, 512]).upload(device));
    let (matmul_first, matmul) = seconds(&|| a.matmul(&b));
    let x = rng.normal_tensor([64, 64, 16, 16]).upload(device);
    let w = rng.normal_tensor([64, 64, 3, 3]).upload(device);
    let (conv_first, conv) = seconds(&|| x.conv2d(&w, None, Conv { stride: 1, padding: 1 }));
    println!(
        "{{\"peer\": \"here\", \"matmul_s\": {matmul:.6}, \"matmul_first_s\": {matmul_first:.3}, \
         \"conv_s\": {conv:.6}, \"conv_first_s\": {conv_first:.3}}}"
    );
}

fn rate(name: &str, flop: usize, peak: f64, body: &dyn Fn() -> Tensor) {
    let run = |times: usize| {
        let start = Instant::now();
        let results: Vec<Tensor> = (0..times).map(|_| black_box(body())).collect();
        let last = results.last().expect("at least one").slice(0, 0, 1);
        drop(results);
        block_on(last.read()).expect("the GPU goes on");
        start.elapsed().as_secs_f64()
    };
    let once = {
        run(1);
        run(1)
    };
    let times = ((0.3 / once) as usize).clamp(1, 200);
    let seconds = run(times) / times as f64;
    let rate = flop as f64 / seconds;
    println!("{name:36} {:10.3} ms {:10.1} GFLOP/s {:5.1}%", 1e3 * seconds, rate / 1e9, 100.0 * rate / peak);
}
