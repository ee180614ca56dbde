//! The speed track: the same matrix product in five ways, and the same convolution in two, with the time of each on your machine.
//!
//!     cargo run --release -p exercises --example speed_steps
//!
//! The matrices are 512×512, so a product takes 2·512³ = 268 million additions and multiplications.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use tensor::{Conv, ConvAlgorithm, Generator, Isa, Tensor};

const N: usize = 512;

// ANCHOR: naive
/// The formula as it stands: for each result a row times a column.
fn naive(a: &[f32], b: &[f32], c: &mut [f32]) {
    for i in 0..N {
        for j in 0..N {
            let mut sum = 0.0;
            for t in 0..N {
                sum += a[i * N + t] * b[t * N + j];
            }
            c[i * N + j] = sum;
        }
    }
}
// ANCHOR_END: naive

// ANCHOR: rows
/// The two inner loops swapped: b and c are read along their rows.
fn rows(a: &[f32], b: &[f32], c: &mut [f32]) {
    c.fill(0.0);
    for i in 0..N {
        for t in 0..N {
            let factor = a[i * N + t];
            for j in 0..N {
                c[i * N + j] += factor * b[t * N + j];
            }
        }
    }
}
// ANCHOR_END: rows

// ANCHOR: tile
/// A tile of 4 × 16 results at a time, which fits into the processor's registers.
fn tiles(a: &[f32], b: &[f32], c: &mut [f32]) {
    for i in (0..N).step_by(4) {
        for j in (0..N).step_by(16) {
            let mut sums = [[0.0f32; 16]; 4];
            for t in 0..N {
                let row: &[f32; 16] = b[t * N + j..][..16].try_into().expect("16 numbers");
                for (k, sums) in sums.iter_mut().enumerate() {
                    let factor = a[(i + k) * N + t];
                    sums.iter_mut().zip(row).for_each(|(sum, b)| *sum += factor * b);
                }
            }
            for (k, sums) in sums.iter().enumerate() {
                c[(i + k) * N + j..][..16].copy_from_slice(sums);
            }
        }
    }
}
// ANCHOR_END: tile

/// The shortest of several runs, in milliseconds.
fn milliseconds(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..5).map(time).fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut rng = Generator::new(1);
    let (a, b) = (rng.normal_tensor([N, N]), rng.normal_tensor([N, N]));
    let exact = a.matmul(&b);
    println!("{:48} {:>8} {:>8}", "a product of two 512×512 matrices", "ms", "GFLOP/s");
    let report = |name: &str, time: f64| println!("{name:48} {time:8.2} {:8.1}", 2.0 * (N * N * N) as f64 / time / 1e6);

    let mut c = vec![0.0; N * N];
    type Step = fn(&[f32], &[f32], &mut [f32]);
    let steps: [(&str, Step); 3] = [
        ("1. the formula as three loops", naive),
        ("2. along the rows", rows),
        ("3. a tile of results in registers", tiles),
    ];
    for (name, step) in steps {
        let time = milliseconds(|| step(black_box(a.data()), black_box(b.data()), &mut c));
        report(name, time);
        let worst = c.iter().zip(exact.data()).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-2, "{name} is wrong by {worst}");
    }
    // ANCHOR: library
    let product = || drop(black_box(a.matmul(&b)));
    report("4. the library, compiled for any processor", Isa::Portable.force(|| milliseconds(product)));
    report("5. the library, with this machine's instructions", milliseconds(product));
    // ANCHOR_END: library

    // ANCHOR: winograd
    let (x, w) = (rng.normal_tensor([16, 64, 32, 32]), rng.normal_tensor([64, 64, 3, 3]));
    let same = Conv { stride: 1, padding: 1 };
    println!("\n{:48} {:>8}", "16 images, 64 → 64 channels, 3×3, 32×32 pixels", "ms");
    for algorithm in [ConvAlgorithm::Direct, ConvAlgorithm::Winograd4] {
        let time = algorithm.force(|| milliseconds(|| drop(black_box(x.conv2d(&w, None, same)))));
        println!("{:48} {time:8.2}", format!("{algorithm:?}"));
    }
    // ANCHOR_END: winograd
    let _: Tensor = exact;
}
