//! Each kernel at the sizes of the first paper's model: `cargo bench -p benches --bench kernels [-- FILTER]`. The throughput of
//! matrix products and convolutions is in FLOP (a multiply-add is two, padding is included), that of other kernels in bytes.

#![allow(missing_docs)] // for criterion's macros

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use tensor::{Act, BatchNorm, Conv, ConvTranspose, Generator, Interpolation, Tensor};

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(20).warm_up_time(std::time::Duration::from_millis(300));
    group.measurement_time(std::time::Duration::from_secs(1));
    group
}

fn matmul(c: &mut Criterion) {
    tensor::start_threads(0).expect("the first to start threads");
    let mut group = group(c, "matmul");
    for n in [512usize, 1024, 2048] {
        let mut rng = Generator::new(1);
        let (a, b) = (rng.normal_tensor([n, n]), rng.normal_tensor([n, n]));
        group.throughput(Throughput::Elements(2 * (n * n * n) as u64));
        group.bench_function(n.to_string(), |bench| bench.iter(|| a.matmul(&b)));
    }
}

/// Input channels, output channels, side, kernel, stride, padding.
const CONVOLUTIONS: [[usize; 6]; 7] = [
    [64, 64, 16, 3, 1, 1],
    [128, 128, 8, 3, 1, 1],
    [256, 256, 4, 3, 1, 1],
    [512, 512, 2, 3, 1, 1],
    [64, 128, 16, 3, 2, 1],
    [64, 128, 16, 1, 2, 0],
    [3, 64, 32, 3, 2, 1],
];

fn conv2d(c: &mut Criterion) {
    let mut group = group(c, "conv2d");
    for [cin, cout, side, kernel, stride, padding] in CONVOLUTIONS {
        let mut rng = Generator::new(1);
        let x = rng.normal_tensor([64, cin, side, side]);
        let w = rng.normal_tensor([cout, cin, kernel, kernel]);
        let conv = Conv { stride, padding };
        let dy = x.conv2d(&w, None, conv);
        let name = format!("{cin}to{cout}@{side}k{kernel}s{stride}");
        group.throughput(Throughput::Elements((2 * dy.count() * cin * kernel * kernel) as u64));
        group.bench_function(format!("{name}/y"), |bench| bench.iter(|| x.conv2d(&w, None, conv)));
        group.bench_function(format!("{name}/dx"), |bench| {
            bench.iter(|| dy.conv2d_input_gradient(&w, conv, [side, side]));
        });
        group.bench_function(format!("{name}/dw"), |bench| {
            bench.iter(|| x.conv2d_weight_gradient(&dy, conv, [kernel, kernel]));
        });
    }
}

fn conv_transpose2d(c: &mut Criterion) {
    let mut group = group(c, "conv_transpose2d");
    for [cin, cout, side, kernel, stride] in [[128, 64, 8, 4, 2], [64, 64, 16, 3, 1], [512, 512, 2, 3, 1]] {
        let mut rng = Generator::new(1);
        let x = rng.normal_tensor([64, cin, side, side]);
        let w = rng.normal_tensor([cin, cout, kernel, kernel]);
        let conv = ConvTranspose { stride, padding: 1, output_padding: 0 };
        group.throughput(Throughput::Elements((2 * x.count() * cout * kernel * kernel) as u64));
        group.bench_function(format!("{cin}to{cout}@{side}k{kernel}s{stride}"), |bench| {
            bench.iter(|| x.conv_transpose2d(&w, None, conv));
        });
    }
}

fn batch_norm(c: &mut Criterion) {
    let mut group = group(c, "batch_norm");
    for [channels, side] in [[64, 16], [512, 2]] {
        let mut rng = Generator::new(1);
        let x = rng.normal_tensor([64, channels, side, side]);
        let (weight, bias) = (rng.uniform_tensor([channels], 0.5, 1.0), rng.normal_tensor([channels]));
        let stats = x.channel_stats(None);
        let norm = BatchNorm { mean: &stats.mean, var: &stats.var, weight: &weight, eps: 1e-5, act: Act::Relu };
        let y = x.batch_norm(norm, &bias, None);
        group.throughput(Throughput::Bytes(8 * x.count() as u64));
        group.bench_function(format!("{channels}@{side}/y"), |bench| {
            bench.iter(|| (x.channel_stats(None), x.batch_norm(norm, &bias, None)));
        });
        group.bench_function(format!("{channels}@{side}/gradients"), |bench| {
            bench.iter(|| x.batch_norm_gradient(norm, &y, &x, true, false));
        });
    }
}

fn interpolate(c: &mut Criterion) {
    let mut group = group(c, "interpolate");
    let x = Generator::new(1).normal_tensor([64, 64, 16, 16]);
    let how = Interpolation::Bilinear { align_corners: false };
    let dy: Tensor = x.interpolate([32, 32], how);
    group.throughput(Throughput::Bytes(4 * (x.count() + dy.count()) as u64));
    group.bench_function("bilinear 64@16 x2/y", |bench| bench.iter(|| x.interpolate([32, 32], how)));
    group.bench_function("bilinear 64@16 x2/dx", |bench| bench.iter(|| dy.interpolate_gradient([16, 16], how)));
}

criterion_group!(kernels, matmul, conv2d, conv_transpose2d, batch_norm, interpolate);
criterion_main!(kernels);
