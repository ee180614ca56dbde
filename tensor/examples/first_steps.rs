//! Tensors: made, cut, joined, computed with, and printed.
//!
//!     cargo run -p tensor --example first_steps
//!
//! `TENSOR_TRACE=1` in front of the command prints each operation as it runs. Gradients are in the crate `autograd`.

use tensor::{Conv, Generator, Tensor};

fn main() {
    // The elements in row-major order, and the sizes of the dimensions.
    let a = Tensor::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    println!("a = {a}");
    println!("its second row = {}, its last column = {}", a.at(1), a.at((.., 2)));

    // Operators work element by element. A smaller shape is repeated, aligned at the last dimension.
    let scale = Tensor::new(&[1.0, 10.0, 100.0], [3]);
    let b = 2.0 * &a + &scale;
    println!("2·a + [1, 10, 100] = {b}");
    assert_eq!(b.at((1, 2)).item(), 112.0);

    // A tensor is a value: a clone shares its elements until one of both is written.
    let mut c = a.clone();
    c.add_assign(&a);
    assert_eq!((a.data()[0], c.data()[0]), (1.0, 2.0));

    // Sums over dimensions, matrix products, comparisons.
    println!("means of the columns = {}", a.mean(&[0], false));
    println!("a·aᵀ = {}", a.matmul_nt(&a));
    let limited = a.gt(&Tensor::scalar(3.0)).where_cond(&Tensor::scalar(3.0), &a);
    assert_eq!(limited.data(), [1.0, 2.0, 3.0, 3.0, 3.0, 3.0]);

    // Images are [batch, channels, height, width]. This kernel is the mean of 3 × 3 pixels.
    let noise = Generator::new(1).normal_tensor([1, 1, 32, 32]);
    let smooth = noise.conv2d(&Tensor::full([1, 1, 3, 3], 1.0 / 9.0), None, Conv { stride: 1, padding: 0 });
    let [before, after] = [&noise, &smooth].map(|x| x.var(&[0, 1, 2, 3], 1, false).item());
    println!("{} of noise has the variance {before:.3}, smoothed {} has {after:.3}", noise.shape(), smooth.shape());
    assert!(after < before / 5.0, "the mean of nine independent numbers has a ninth of the variance");
}
