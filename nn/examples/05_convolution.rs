//! 5. A convolution applies one small kernel at every position of an image.
//!
//!     cargo run -p nn --example 05_convolution
//!
//! First a known kernel finds edges. Then the same kernel is learned from examples.
//!
//! The formula is at the top of `tensor/src/ops/conv2d.rs`. Next: `06_reparameterisation.rs`, in `vae/examples`.

use autograd::Var;
use tensor::{Conv, Generator, Tensor};

/// A border of one pixel of zeros, so that the output of a 3×3 kernel has the size of the image.
const SAME: Conv = Conv { stride: 1, padding: 1 };

/// A bright square on a dark background.
fn square(size: usize, from: usize, to: usize) -> Tensor {
    let inside = |i: usize| (from..to).contains(&(i / size)) && (from..to).contains(&(i % size));
    let pixels: Vec<f32> = (0..size * size).map(|i| if inside(i) { 1.0 } else { 0.0 }).collect();
    Tensor::new(&pixels, [1, 1, size, size])
}

fn print(what: &str, image: &Tensor) {
    println!("{what}");
    let size = image.shape()[3];
    for row in image.data().chunks(size) {
        let shade = |x: &f32| match x.abs() {
            x if x < 0.25 => ". ",
            x if x < 1.5 => "o ",
            _ => "# ",
        };
        println!("  {}", row.iter().map(shade).collect::<String>());
    }
}

fn main() {
    // ANCHOR: edges
    // The Laplace kernel: the sum of a pixel's neighbours minus four times the pixel. It is 0 in flat areas.
    let laplace = Tensor::new(&[0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0], [1, 1, 3, 3]);
    let image = square(12, 3, 9);
    let edges = image.conv2d(&laplace, None, SAME);
    print("a square", &image);
    print("its edges", &edges);
    assert_eq!(edges.data()[5 * 12 + 5], 0.0, "the inside is flat");
    // ANCHOR_END: edges

    // ANCHOR: learn
    // Learns the kernel by gradient descent, from random images and the outputs of the true kernel.
    let mut rng = Generator::new(3);
    let images = Var::constant(rng.normal_tensor([16, 1, 12, 12]));
    let wanted = Var::constant(images.value().conv2d(&laplace, None, SAME));
    let mut kernel = rng.normal_tensor([1, 1, 3, 3]).mul_scalar(0.1);
    for step in 0..=60 {
        let leaf = Var::leaf(kernel.clone());
        let loss = (images.conv2d(&leaf, None, SAME) - &wanted).square().mean_all();
        if step % 20 == 0 {
            println!("step {step:2}: loss {:9.6}", loss.value().data()[0]);
        }
        let gradients = loss.backward();
        kernel = kernel.sub(&gradients.of(&leaf).expect("the loss depends on the kernel").mul_scalar(0.2));
    }
    // ANCHOR_END: learn
    println!("learned: {:.3?}", kernel.data());
    let worst = kernel.data().iter().zip(laplace.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-2, "{worst}");

    // A stride of 2 computes every other position: half the height, half the width.
    let half = image.conv2d(&laplace, None, Conv { stride: 2, padding: 1 });
    println!("12×12 at stride 2 becomes {}", half.shape());
    assert_eq!(half.shape()[2..], [6, 6]);
}
