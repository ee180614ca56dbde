//! The size of a convolution's result.
//!
//! An image of `size` pixels (in one direction) gets `padding` zeros on both sides. A kernel of `kernel` pixels is put at every
//! `stride`-th position where it fits. At how many positions does it fit? The kernel always fits at least once here.

use crate::help::{Verdict, ensure};
use tensor::{Conv, Tensor};

pub fn output_size(size: usize, kernel: usize, stride: usize, padding: usize) -> usize {
    todo!("the number of positions")
}

pub fn check(output_size: fn(usize, usize, usize, usize) -> usize) -> Verdict {
    for [size, kernel, stride, padding] in
        [[5, 3, 1, 0], [5, 3, 1, 1], [8, 2, 2, 0], [7, 3, 2, 1], [8, 3, 2, 1], [28, 4, 3, 2]]
    {
        let image = Tensor::zeros([1, 1, size, size]);
        let result = image.conv2d(&Tensor::zeros([1, 1, kernel, kernel]), None, Conv { stride, padding });
        let (answer, size_of_result) = (output_size(size, kernel, stride, padding), result.shape()[3]);
        let what = format!("{size} pixels, a kernel of {kernel}, stride {stride}, padding {padding}");
        ensure(answer == size_of_result, format!("{what}: the kernel fits {size_of_result} times, not {answer}"))?;
    }
    Ok(())
}
