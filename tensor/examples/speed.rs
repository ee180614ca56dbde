//! Times a matrix product and a convolution with each instruction set that there is, on one thread:
//! `cargo run --release -p tensor --example speed`. `./test wasm` runs it in WebAssembly.

use std::hint::black_box;
use std::time::Instant;

use tensor::{Conv, Generator, Isa, Tensor};

/// The milliseconds of the fastest of twenty runs.
fn best(run: impl Fn() -> Tensor) -> f64 {
    black_box(run());
    let time = |_| {
        let started = Instant::now();
        black_box(run());
        started.elapsed().as_secs_f64() * 1e3
    };
    (0..20).map(time).fold(f64::MAX, f64::min)
}

fn main() {
    tensor::start_threads(1).expect("the first to start threads");
    let rng = &mut Generator::new(1);
    let [a, b] = [(); 2].map(|()| rng.normal_tensor([512, 512]));
    let (x, w) = (rng.normal_tensor([16, 64, 16, 16]), rng.normal_tensor([64, 64, 3, 3]));
    for isa in Isa::available() {
        isa.force(|| {
            let (product, conv) = (best(|| a.matmul(&b)), best(|| x.conv2d(&w, None, Conv { stride: 1, padding: 1 })));
            let strided = best(|| x.conv2d(&w, None, Conv { stride: 2, padding: 1 }));
            let rate = 2.0 * 512f64.powi(3) / product / 1e6;
            println!(
                "{isa}: matmul 512 {product:.1} ms ({rate:.1} GFLOP/s), conv 3x3 64@16, 16 images {conv:.1} ms, with stride 2 {strided:.1} ms"
            );
        });
    }
}
