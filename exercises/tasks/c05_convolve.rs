//! A convolution along one line, with your own loops.
//!
//!   y[i] = Σ_t w[t]·x[stride·i + t − padding],      pixels outside of x count as 0
//!
//! `count` is the number of results, which the last exercise computed.

use crate::help::{Verdict, ensure, same};
use tensor::{Conv, Generator, Tensor};

pub fn convolve(x: &[f32], w: &[f32], stride: usize, padding: usize, count: usize) -> Vec<f32> {
    todo!("a loop over i, and a sum over t")
}

pub fn check(convolve: fn(&[f32], &[f32], usize, usize, usize) -> Vec<f32>) -> Verdict {
    let mut rng = Generator::new(5);
    for (size, kernel, stride, padding) in [(6, 3, 1, 0), (6, 3, 1, 1), (7, 3, 2, 1), (9, 4, 3, 2)] {
        // The library's convolution has two dimensions. An image of one row and a kernel of one row are what is wanted here.
        let (x, w) = (rng.normal_tensor([size]), rng.normal_tensor([kernel]));
        let (image, weight) = (x.reshape([1, 1, 1, size]), w.reshape([1, 1, 1, kernel]));
        let padded =
            Tensor::concat(&[&Tensor::zeros([1, 1, 1, padding]), &image, &Tensor::zeros([1, 1, 1, padding])], 3);
        let expected = padded.conv2d(&weight, None, Conv { stride, padding: 0 });
        let count = expected.shape()[3];
        let answer = convolve(x.data(), w.data(), stride, padding, count);
        let what = format!("{size} pixels, a kernel of {kernel}, stride {stride}, padding {padding}");
        ensure(answer.len() == count, format!("{what}: {} results instead of {count}", answer.len()))?;
        same(&what, &Tensor::new(&answer, [count]), &expected.reshape([count]), 1e-5)?;
    }
    Ok(())
}
