//! 11. Reading a shader, with the CPU's loop beside it.
//!
//!     cargo run -p vae --example 11_a_shader_and_its_twin
//!
//! `shaders/softmax.wgsl` and `tensor/src/ops/softmax.rs` compute the same: logsumexp, y = m + ln Σ e^(x − m), m = max x. The shader runs
//! once for each number of y (an invocation), all of them at once; the CPU goes through memory in order. A naive third judges both.
//! Next: `12_winograd.rs`. How a *fast* shader works: `docs/theory/shader.md`.

use pollster::block_on;
use tensor::{Device, Generator, Tensor};
use vae::Result;
use vae::config::DeviceChoice;
use vae::device;

/// In f64, by the definition.
fn naive(x: &Tensor) -> Vec<f64> {
    let columns = x.shape()[1];
    let row = |row: &[f32]| row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
    x.data().chunks(columns).map(row).collect()
}

fn worst(found: &[f32], exact: &[f64]) -> f64 {
    found.iter().zip(exact).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max)
}

fn main() -> Result<()> {
    let threads = device::start_threads(None)?; // before anything is computed
    let source = include_str!("../../shaders/softmax.wgsl");
    println!("{source}");

    let x = Generator::new(5).normal_tensor([1000, 40]).mul_scalar(3.0);
    let exact = naive(&x);
    let on_cpu = x.logsumexp(1);
    println!("cpu: at most {:.1e} from f64", worst(on_cpu.data(), &exact));
    assert!(worst(on_cpu.data(), &exact) < 1e-5);

    match device::choose(DeviceChoice::Gpu, threads) {
        Ok(gpu) => {
            // `upload` sends and does not wait; `read` is the one thing that does.
            let y = x.upload(&gpu.device).logsumexp(1);
            let on_gpu = block_on(y.read())?;
            println!("{}: at most {:.1e} from f64", gpu.words, worst(&on_gpu, &exact));
            assert!(worst(&on_gpu, &exact) < 1e-5);
        }
        Err(error) => println!("no GPU here: {error}"),
    }

    // Why the maximum goes first: without it e^1000 is infinite.
    let large = Tensor::new(&[1000.0, 1000.0], [1, 2]);
    println!("logsumexp(1000, 1000) = {}, by the definition {}", large.logsumexp(1).data()[0], naive(&large)[0]);
    assert!((large.logsumexp(1).data()[0] - (1000.0 + 2_f32.ln())).abs() < 1e-3);

    let _: Device = large.device(); // where a tensor lies is all that decides which of the two runs
    Ok(())
}
