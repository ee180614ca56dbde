//! Every shader and the CPU kernel of the same operation, at sizes of the first paper's model:
//! `cargo bench -p benches --bench shaders [-- FILTER]`.
//!
//! Criterion's line has the time and the rate. The line before it has the rate in GFLOP/s (a multiply-add is two, padding is
//! included) and in GB/s (what must be read and written once). The GPU's time is that of several runs with one read at the end,
//! divided by the number of runs.

#![allow(missing_docs)] // for criterion's macros

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gpu::{Context, Options};
use pollster::block_on;
use tensor::{
    Act, BatchNorm, Conv, ConvTranspose, Device, Generator, GradientMonitor, Interpolation, OptimizerPart,
    OptimizerStep, Pool, Rule, Tensor, Unary,
};

type Run = Box<dyn Fn(&[Tensor]) -> Tensor>;
type Body<'a> = Box<dyn FnMut() -> Tensor + 'a>;

/// One kernel at one size.
struct Case {
    name: &'static str,
    /// Multiplications and additions; 0 if memory alone limits the kernel.
    flop: usize,
    /// Bytes that must be read or written.
    bytes: usize,
    inputs: Vec<Tensor>,
    run: Run,
}

fn case(name: &'static str, flop: usize, inputs: Vec<Tensor>, run: impl Fn(&[Tensor]) -> Tensor + 'static) -> Case {
    let result = run(&inputs);
    let bytes = 4 * (inputs.iter().map(Tensor::count).sum::<usize>() + result.count());
    Case { name, flop, bytes, inputs, run: Box::new(run) }
}

fn convolutions(rng: &mut Generator) -> Vec<Case> {
    let conv = Conv { stride: 1, padding: 1 };
    let halving = Conv { stride: 2, padding: 1 };
    let doubling = ConvTranspose { stride: 2, padding: 1, output_padding: 0 };
    let (x, w) = (rng.normal_tensor([64, 64, 16, 16]), rng.normal_tensor([64, 64, 3, 3]));
    let (small, deep) = (rng.normal_tensor([64, 512, 2, 2]), rng.normal_tensor([512, 512, 3, 3]));
    let (wide, up) = (rng.normal_tensor([64, 128, 8, 8]), rng.normal_tensor([128, 64, 4, 4]));
    let w2 = rng.normal_tensor([128, 64, 3, 3]);
    let all = 2 * 64 * 256 * 64 * 64 * 9;
    let (a, b) = (rng.normal_tensor([512, 512]), rng.normal_tensor([512, 512]));
    vec![
        case("matmul 512", 2 * 512 * 512 * 512, vec![a.clone(), b.clone()], |x| x[0].matmul(&x[1])),
        case("matmul_nt 512", 2 * 512 * 512 * 512, vec![a.clone(), b.clone()], |x| x[0].matmul_nt(&x[1])),
        case("matmul_tn 512", 2 * 512 * 512 * 512, vec![a, b], |x| x[0].matmul_tn(&x[1])),
        case("conv2d 3x3 64@16", all, vec![x.clone(), w.clone()], move |x| x[0].conv2d(&x[1], None, conv)),
        case("conv2d 3x3 64@16 dx", all, vec![x.clone(), w], move |x| {
            x[0].conv2d_input_gradient(&x[1], conv, [16, 16])
        }),
        case("conv2d 3x3 64@16 dw", all, vec![x.clone(), x.clone()], move |x| {
            x[0].conv2d_weight_gradient(&x[1], conv, [3, 3])
        }),
        case("conv2d 3x3 512@2", 2 * 64 * 4 * 512 * 512 * 9, vec![small, deep], move |x| {
            x[0].conv2d(&x[1], None, conv)
        }),
        case("conv2d 3x3 s2 64to128@16", 2 * 64 * 64 * 64 * 128 * 9, vec![x, w2], move |x| {
            x[0].conv2d(&x[1], None, halving)
        }),
        case("conv_transpose2d 4x4 s2 128to64@8", 2 * 64 * 64 * 128 * 64 * 16, vec![wide, up], move |x| {
            x[0].conv_transpose2d(&x[1], None, doubling)
        }),
    ]
}

fn others(rng: &mut Generator) -> Vec<Case> {
    let x = rng.normal_tensor([64, 64, 16, 16]);
    let c = rng.uniform_tensor([64], 0.5, 1.0);
    let stats = vec![x.clone(), c.clone(), c.clone(), c.clone(), c.clone()];
    fn norm(x: &[Tensor]) -> BatchNorm<'_> {
        BatchNorm { mean: &x[1], var: &x[2], weight: &x[3], eps: 1e-5, act: Act::Relu }
    }
    let bilinear = Interpolation::Bilinear { align_corners: false };
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let scores = rng.normal_tensor([4096, 128]);
    let labels = Tensor::new(&(0..4096).map(|i| (i % 128) as f32).collect::<Vec<_>>(), [4096]);
    vec![
        case("batch_norm stats 64@16", 0, vec![x.clone()], |x| x[0].channel_stats(None).var),
        case("batch_norm y 64@16", 0, stats.clone(), |x| x[0].batch_norm(norm(x), &x[4], None)),
        case("batch_norm gradients 64@16", 0, stats, |x| {
            x[0].batch_norm_gradient(norm(x), &x[0], &x[0], true, false).dx
        }),
        case("interpolate x2 64@16", 0, vec![x.clone()], move |x| x[0].interpolate([32, 32], bilinear)),
        case("interpolate x2 64@16 dx", 0, vec![x.interpolate([32, 32], bilinear)], move |x| {
            x[0].interpolate_gradient([16, 16], bilinear)
        }),
        case("max_pool2d 3x3 s2 64@16", 0, vec![x.clone()], move |x| x[0].max_pool2d(pool)),
        case("avg_pool2d 3x3 s2 64@16", 0, vec![x.clone()], move |x| x[0].avg_pool2d(pool)),
        case("relu 1M", 0, vec![x.clone()], |x| x[0].relu()),
        case("exp 1M", 0, vec![x.clone()], |x| x[0].exp()),
        case("add 1M", 0, vec![x.clone(), x.clone()], |x| x[0].add(&x[1])),
        case("add [64, 64, 16, 16] + [64, 1, 1]", 0, vec![x.clone(), c.reshape([64, 1, 1])], |x| x[0].add(&x[1])),
        case("sum of all 1M", 0, vec![x.clone()], |x| x[0].sum_all()),
        case("sum over [0, 2, 3]", 0, vec![x.clone()], |x| x[0].sum(&[0, 2, 3], false)),
        case("permute to NHWC", 0, vec![x.clone()], |x| x[0].permute(&[0, 2, 3, 1])),
        case("logsumexp [4096, 128]", 0, vec![scores.clone()], |x| x[0].logsumexp(1)),
        case("gather [4096, 128]", 0, vec![scores, labels], |x| x[0].gather(&x[1])),
        case("dropout mask 1M", 0, vec![c], |x| Generator::new(1).mask([1 << 20], 0.5, &x[0].device())),
    ]
}

/// The kernels of gradients and copies that the other cases do not run.
fn more(rng: &mut Generator) -> Vec<Case> {
    let x = rng.normal_tensor([64, 64, 16, 16]);
    let small = rng.normal_tensor([64, 64, 8, 8]);
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let nearest = Interpolation::Nearest;
    let aligned = Interpolation::Bilinear { align_corners: true };
    let index = Tensor::new(&(0..4096).map(|i| (i * 7 % 4096) as f32).collect::<Vec<_>>(), [4096]);
    vec![
        case("relu gradient 1M", 0, vec![x.clone(), x.clone()], |x| Unary::relu().gradient(&x[0], &x[1])),
        case("max_pool2d dx 64@16", 0, vec![x.clone(), small.clone()], move |x| x[0].max_pool2d_gradient(&x[1], pool)),
        case("avg_pool2d dx 64@16", 0, vec![small], move |x| x[0].avg_pool2d_gradient(pool, [16, 16])),
        case("interpolate nearest x2 64@16", 0, vec![x.clone()], move |x| x[0].interpolate([32, 32], nearest)),
        case("interpolate aligned x2 64@16", 0, vec![x.clone()], move |x| x[0].interpolate([32, 32], aligned)),
        case("max over [2, 3]", 0, vec![x.clone()], |x| x[0].max(&[2, 3], false)),
        case("fill 1M", 0, vec![x.clone()], |x| x[0].full_like(1.0)),
        case("slice half of 1M", 0, vec![x.clone()], |x| x[0].slice(1, 16, 32)),
        case("index_select [4096, 256]", 0, vec![x.reshape([4096, 256]), index.clone()], |x| x[0].index_select(&x[1])),
        case("gather gradient [4096, 128]", 0, vec![index.clone(), index.mul_scalar(0.0)], |x| {
            x[0].gather_gradient(&x[1], 128)
        }),
    ]
}

const RULE: Rule = Rule::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, decoupled: false };

/// The end of a step for two parameters of a million elements each: the gradient monitor, and Adam in place.
fn monitor_and_adam(device: &Device) -> (usize, impl FnMut() -> Tensor + use<>) {
    let count = 1 << 20;
    let (mut monitor, one) = (GradientMonitor::new(1, device), Tensor::scalar(1.0).upload(device));
    let draw = || Generator::new(1).normal_tensor([count]).upload(device);
    let part = |gradient: Tensor| {
        let state = OptimizerPart::state(&gradient, RULE);
        OptimizerPart { parameter: draw(), gradient, state }
    };
    let mut parts = [part(draw()), part(draw())];
    let step = OptimizerStep { rule: RULE, learning_rate: 1e-3, weight_decay: 0.0, step: 1 };
    let run = move || {
        let gradients = [parts[0].gradient.clone(), parts[1].gradient.clone()];
        monitor.observe(0, &[&gradients[0], &gradients[1]], &[&one, &one, &one], None);
        step.apply(&mut parts, &monitor);
        parts[0].gradient.clone()
    };
    (4 * 2 * count * (1 + 1 + 6), run) // gradients are read twice; parameters and both moments are read and written
}

fn shaders(c: &mut Criterion) {
    tensor::start_threads(0).expect("the first to start threads");
    let context = block_on(Context::open(Options::default()));
    let context = context.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(1)
    });
    println!("gpu: {}", context.adapter());
    let rng = &mut Generator::new(1);
    let mut cases = convolutions(rng);
    cases.extend(others(rng));
    cases.extend(more(rng));
    for case in cases {
        let devices = [("cpu", Device::Cpu), ("gpu", Device::Gpu(context.clone()))];
        let rows = devices.map(|(name, device)| {
            let inputs: Vec<Tensor> = case.inputs.iter().map(|x| x.upload(&device)).collect();
            let run = &case.run;
            (name, Box::new(move || run(&inputs)) as Body<'_>)
        });
        measure(c, case.name, case.flop, case.bytes, rows);
    }
    let devices = [("cpu", Device::Cpu), ("gpu", Device::Gpu(context.clone()))];
    let rows = devices.map(|(name, device)| (name, Box::new(monitor_and_adam(&device).1) as Body<'_>));
    measure(c, "monitor and adam 2 x 1M", 0, monitor_and_adam(&Device::Cpu).0, rows);
}

/// Runs the benchmark on each device: one line of rates and one of criterion's.
fn measure(c: &mut Criterion, name: &str, flop: usize, bytes: usize, rows: [(&str, Body<'_>); 2]) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    group.throughput(match flop {
        0 => Throughput::Bytes(bytes as u64),
        flop => Throughput::Elements(flop as u64),
    });
    for (device, mut run) in rows {
        let mut row = |runs: u64| {
            let start = Instant::now();
            (1..runs).for_each(|_| drop(black_box(run())));
            let last = run();
            if last.device() != Device::Cpu {
                let first = last.reshape([last.count()]).slice(0, 0, 1);
                block_on(first.read()).expect("the GPU goes on");
            }
            start.elapsed()
        };
        row(2);
        let seconds = row(3).as_secs_f64() / 3.0;
        let rates = [(flop, "GFLOP/s"), (bytes, "GB/s")].map(|(n, unit)| match n {
            0 => String::new(),
            n => format!("{:9.2} {unit}", n as f64 / seconds / 1e9),
        });
        println!("{name:36} {device}  {:9.3} ms  {}", 1e3 * seconds, rates.concat());
        group.bench_function(device, |bench| bench.iter_custom(&mut row));
    }
}

criterion_group!(benches, shaders);
criterion_main!(benches);
