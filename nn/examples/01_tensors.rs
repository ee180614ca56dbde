//! 1. A tensor is an array of numbers with a shape.
//!
//!     cargo run -p nn --example 01_tensors
//!
//! Next: `02_gradients.rs`. The implementation is in `tensor/src/tensor.rs` and `tensor/src/ops/`.

use tensor::{Generator, Tensor};

fn main() {
    // ANCHOR: broadcast
    // Six numbers as two rows of three.
    let a = Tensor::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
    println!("a = {a}");

    // Operations work element by element, with NumPy's broadcasting: a size of 1 is repeated as needed. Here the row is added
    // to every row of `a`.
    let row = Tensor::new(&[10.0, 20.0, 30.0], [3]);
    let sum = &a + &row;
    println!("a + row = {sum}");
    assert_eq!(sum.data(), [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);

    // A column has one number per row.
    let column = Tensor::new(&[100.0, 200.0], [2, 1]);
    println!("a + column = {}", &a + &column);
    // ANCHOR_END: broadcast

    // Numbers are operands, too, and a part is taken by indices and ranges.
    println!("the last two columns of 2·a - 1: {}", (2.0 * &a - 1.0).at((.., 1..)));
    assert_eq!(a.at((1, 2)).item(), 6.0);

    // ANCHOR: reduce
    // Reductions take dimensions. With `true` the reduced dimension remains with size 1, so that the result broadcasts against
    // `a`.
    let means = a.mean(&[1], true);
    let centred = &a - &means;
    println!("row means {:?}, without them {:?}", means.data(), centred.data());
    assert_eq!(centred.sum(&[1], false).data(), [0.0, 0.0]);

    // The matrix product of [2, 3] and [3, 2] is [2, 2].
    let product = a.matmul(&a.transpose(0, 1));
    println!("a·aᵀ = {:?}", product.data());
    assert_eq!(product.data(), [14.0, 32.0, 32.0, 77.0]);
    // ANCHOR_END: reduce

    // ANCHOR: share
    // Reshaping shares the numbers and copies nothing. But tensors are values: writing to shared numbers copies them first.
    let mut flat = a.reshape([6]);
    flat.data_mut()[0] = -1.0; // the numbers are shared with a, so this copies them
    println!("changed {:?}, a still {:?}", flat.data(), a.data());
    assert_eq!(a.data()[0], 1.0);
    // ANCHOR_END: share

    // Random numbers follow from a seed. They are the same on every machine and for any number of threads.
    let noise = Generator::new(1).normal_tensor([1000]);
    let (mean, square) = (noise.mean_all(), noise.mul(&noise).mean_all());
    println!("1,000 normals: mean {:.3}, mean square {:.3}", mean.item(), square.item());
    assert_eq!(noise.data(), Generator::new(1).normal_tensor([1000]).data());

    // A shape that does not fit is a programming error: the call panics with a message that contains both shapes.
    std::panic::set_hook(Box::new(|panic| println!("refused: {panic}")));
    let mistake = std::panic::catch_unwind(|| Tensor::ones([2, 3]).add(&Tensor::ones([2, 4])));
    assert!(mistake.is_err());
}
