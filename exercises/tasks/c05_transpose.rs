//! The transposed convolution, checked by its law.
//!
//! A convolution takes from x and adds to y:      y[i] += w[t]·x[stride·i + t − padding]
//! Its transpose goes back along the same lines:  x[stride·i + t − padding] += w[t]·y[i]
//! Return x, which has `size` pixels. There is no reference here. The law ⟨C·x, y⟩ = ⟨x, Cᵀ·y⟩ for all x and y is enough.

use crate::help::{Verdict, ensure, near};
use tensor::{Conv, Generator, Tensor};

pub fn transpose(y: &[f32], w: &[f32], stride: usize, padding: usize, size: usize) -> Vec<f32> {
    todo!("start with zeros, and add to them")
}

pub fn check(transpose: fn(&[f32], &[f32], usize, usize, usize) -> Vec<f32>) -> Verdict {
    let mut rng = Generator::new(6);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    for (size, kernel, stride, padding) in [(6, 3, 1, 0), (7, 3, 2, 1), (9, 4, 3, 2)] {
        let (x, w) = (rng.normal_tensor([size]), rng.normal_tensor([kernel]));
        let zeros = Tensor::zeros([1, 1, 1, padding]);
        let padded = Tensor::concat(&[&zeros, &x.reshape([1, 1, 1, size]), &zeros], 3);
        let cx = padded.conv2d(&w.reshape([1, 1, 1, kernel]), None, Conv { stride, padding: 0 });
        let y = rng.normal_tensor([cx.shape()[3]]);
        let back = transpose(y.data(), w.data(), stride, padding, size);
        ensure(back.len() == size, format!("the result has {} pixels instead of {size}", back.len()))?;
        let what = format!("⟨x, Cᵀ·y⟩ for {size} pixels, a kernel of {kernel}, stride {stride}, padding {padding}");
        near(&what, dot(x.data(), &back), dot(cx.data(), y.data()), 1e-4)?;
    }
    Ok(())
}
