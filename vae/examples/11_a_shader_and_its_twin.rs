//! 11. A shader and the CPU loop that computes the same.
//!
//!     cargo run -p vae --example 11_a_shader_and_its_twin
//!
//! `shaders/softmax.wgsl` and `tensor/src/ops/softmax.rs` compute logsumexp, y = m + ln Σ e^(x − m) with m = max x. The shader
//! runs once for each element of y (one run is an invocation), many of them at the same time. The CPU goes through the elements
//! in order. Both are compared with a simple third implementation in f64.
//!
//! Next: `12_winograd.rs`. How a *fast* shader works: `docs/theory/shader.md`.

use pollster::block_on;
use tensor::{Device, Generator, Tensor};
use vae::Result;
use vae::config::DeviceChoice;
use vae::device;

/// logsumexp by its definition, in f64.
fn naive(x: &Tensor) -> Vec<f64> {
    let columns = x.shape()[1];
    let row = |row: &[f32]| row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
    x.data().chunks(columns).map(row).collect()
}

fn worst(found: &[f32], exact: &[f64]) -> f64 {
    found.iter().zip(exact).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max)
}

fn main() -> Result<()> {
    let threads = device::start_threads(None)?; // before the first computation
    let source = include_str!("../../shaders/softmax.wgsl");
    println!("{source}");

    let x = Generator::new(5).normal_tensor([1000, 40]).mul_scalar(3.0);
    let exact = naive(&x);
    let on_cpu = x.logsumexp(1);
    println!("cpu: largest difference from f64 {:.1e}", worst(on_cpu.data(), &exact));
    assert!(worst(on_cpu.data(), &exact) < 1e-5);

    match device::choose(DeviceChoice::Gpu, threads) {
        Ok(gpu) => {
            // `upload` does not wait for the GPU; `read` does.
            let y = x.upload(&gpu.device).logsumexp(1);
            let on_gpu = block_on(y.read())?;
            println!("{}: largest difference from f64 {:.1e}", gpu.words, worst(&on_gpu, &exact));
            assert!(worst(&on_gpu, &exact) < 1e-5);
        }
        Err(error) => println!("no GPU here: {error}"),
    }

    // The maximum is subtracted because e^1000 is infinite in f32.
    let large = Tensor::new(&[1000.0, 1000.0], [1, 2]);
    println!("logsumexp(1000, 1000) = {}, by the definition {}", large.logsumexp(1).data()[0], naive(&large)[0]);
    assert!((large.logsumexp(1).data()[0] - (1000.0 + 2_f32.ln())).abs() < 1e-3);

    let _: Device = large.device(); // a tensor's device decides which of the two runs
    Ok(())
}
