//! Subtract from every column its mean.
//!
//! `x` has the shape [rows, columns]. The result has the same shape, and the mean of each of its columns is 0. You need
//! `x.mean(dims, keepdim)` and a subtraction that broadcasts.

use crate::help::{Verdict, same};
use tensor::{Generator, Tensor};

pub fn centre_columns(x: &Tensor) -> Tensor {
    todo!("x minus the mean of each column")
}

pub fn check(centre_columns: fn(&Tensor) -> Tensor) -> Verdict {
    let x = Tensor::new(&[1.0, 10.0, 3.0, 30.0], [2, 2]);
    let expected = Tensor::new(&[-1.0, -10.0, 1.0, 10.0], [2, 2]);
    same("the centred [[1, 10], [3, 30]]", &centre_columns(&x), &expected, 1e-5)?;
    // As many rows as columns hide some mistakes. Here the two sizes differ.
    let x = Generator::new(1).normal_tensor([5, 3]);
    let means = centre_columns(&x).mean(&[0], false);
    same("the mean of each of three columns", &means, &Tensor::zeros([3]), 1e-5)
}
