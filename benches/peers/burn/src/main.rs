//! burn's matmul 512³ and conv2d 3×3 (64, 64, 16, 16) → 64 on its wgpu backend: one line of JSON, medians of seven runs.
#![forbid(unsafe_code)]

use std::time::Instant;

use burn::tensor::{Device, DeviceKind, Distribution, Tensor, TensorData, module::conv2d, ops::ConvOptions};

fn seconds(mut run: impl FnMut()) -> (f64, f64) {
    let mut time = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let first = time();
    let mut times: Vec<f64> = (0..9).map(|_| time()).skip(2).collect();
    times.sort_by(f64::total_cmp);
    (first, times[times.len() / 2])
}

/// Waits for the result, which is computed lazily.
fn fetch(data: TensorData) {
    std::hint::black_box(data.to_vec::<f32>().expect("numbers"));
}

fn main() {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let random = |shape| Tensor::<2>::random(shape, Distribution::Default, &device);
    let (a, b) = (random([512, 512]), random([512, 512]));
    let (matmul_first, matmul) = seconds(|| {
        let c = a.clone().matmul(b.clone());
        fetch(c.slice([0..1, 0..1]).into_data());
    });
    let random = |shape| Tensor::<4>::random(shape, Distribution::Default, &device);
    let (x, w) = (random([64, 64, 16, 16]), random([64, 64, 3, 3]));
    let (conv_first, conv) = seconds(|| {
        let y = conv2d(x.clone(), w.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
        fetch(y.slice([0..1, 0..1, 0..1, 0..1]).into_data());
    });
    println!(
        "{{\"peer\": \"burn\", \"matmul_s\": {matmul:.6}, \"matmul_first_s\": {matmul_first:.3}, \
         \"conv_s\": {conv:.6}, \"conv_first_s\": {conv_first:.3}}}"
    );
}
