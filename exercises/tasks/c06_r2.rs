//! Is the model better than the mean image?
//!
//! A mean squared error of 0.05: is that good? R² = 1 − (error of the model) / (error of always answering with the mean image). It is
//! 1 for perfect reconstructions, and 0 for a model that ignores its input. Both tensors are [images, pixels].

use crate::help::{Verdict, near};
use tensor::{Generator, Tensor};

pub fn r2(guess: &Tensor, x: &Tensor) -> f32 {
    todo!("1 minus a ratio of two sums of squares")
}

pub fn check(r2: fn(&Tensor, &Tensor) -> f32) -> Verdict {
    let mut rng = Generator::new(2);
    // Pixels have different means, so that the mean image differs from the mean of all numbers.
    let x = rng.normal_tensor([50, 6]) + Tensor::arange(0.0, 6.0, 1.0);
    let mean = x.mean(&[0], true).expand(*x.shape());
    near("R² of a perfect model", f64::from(r2(&x, &x)), 1.0, 1e-5)?;
    near("R² of the mean image", f64::from(r2(&mean, &x)), 0.0, 1e-4)?;
    let half = (&x + &mean) * 0.5;
    near("R² of what is half-way between the mean image and the image", f64::from(r2(&half, &x)), 0.75, 1e-4)?;
    // Its mean image is not that of the images, which R² compares with.
    let brighter = 1.0 - 300.0 / f64::from((&x - &mean).square().sum_all().item());
    near("R² of images whose 6 pixels are all brighter by 1", f64::from(r2(&(&x + 1.0), &x)), brighter, 1e-3)
}
