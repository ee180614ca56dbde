//! A complete training step and a forward pass: `cargo bench -p benches --bench step`.
//!
//! `beta-resnet18` is the first paper's model (23.9 million parameters, 32 × 32 RGB, z = 128), `quickstart` is that of the
//! default run.

#![allow(missing_docs)] // for criterion's macros

use std::time::Duration;

use benches::Step;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tensor::Device;

const BATCH: usize = 64;

fn step(c: &mut Criterion) {
    tensor::start_threads(0).expect("the first to start threads");
    for name in ["beta-resnet18", "quickstart"] {
        let config = benches::config(name).expect("a known name");
        let mut group = c.benchmark_group(name);
        group.sample_size(10).measurement_time(Duration::from_secs(8)).throughput(Throughput::Elements(BATCH as u64));
        let mut step = Step::new(&config, BATCH, &Device::Cpu);
        group.bench_function("step", |bench| bench.iter(|| step.train()));
        group.bench_function("forward", |bench| bench.iter(|| step.forward()));
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
