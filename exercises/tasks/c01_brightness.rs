//! The brightness of each image of a batch.
//!
//! A batch of images has the shape [images, channels, height, width]. Return the mean of all numbers of each image, as a tensor
//! of the shape [images].

use crate::help::{Verdict, same};
use tensor::Tensor;

pub fn brightness(images: &Tensor) -> Tensor {
    todo!("one mean for each image")
}

pub fn check(brightness: fn(&Tensor) -> Tensor) -> Verdict {
    // Image i has the value i everywhere, except for one pixel of its second channel.
    let values: Vec<f32> = (0..3 * 8).map(|i| (i / 8) as f32 + if i % 8 == 7 { 8.0 } else { 0.0 }).collect();
    let images = Tensor::new(&values, [3, 2, 2, 2]);
    same("the brightness of three images", &brightness(&images), &Tensor::new(&[1.0, 2.0, 3.0], [3]), 1e-5)
}
