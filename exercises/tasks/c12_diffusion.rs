//! The noisy image of a diffusion model.
//!
//! A diffusion model adds noise in many small steps: x_t = √(1 − b_t)·x_{t−1} + √b_t·ε_t. Because sums of normal numbers are normal, one can jump:
//!   x_t = √ā·x₀ + √(1 − ā)·ε,     ā = (1 − b₁)(1 − b₂)…(1 − b_t)
//! Return [√ā, √(1 − ā)] for a list of the b.

use crate::help::{Verdict, near};
use tensor::Generator;

pub fn jump(b: &[f64]) -> [f64; 2] {
    todo!("the weights of the image and of the noise after all steps")
}

pub fn check(jump: fn(&[f64]) -> [f64; 2]) -> Verdict {
    let b: Vec<f64> = (1..=40).map(|t| 0.002 * f64::from(t)).collect();
    let [image, noise] = jump(&b);
    near("the sum of the squares of both weights", image * image + noise * noise, 1.0, 1e-9)?;
    // Step by step, from x₀ = 2.
    let eps = Generator::new(1).normal_tensor([20_000, 40]);
    let walk = |eps: &[f32]| b.iter().zip(eps).fold(2.0, |x, (b, e)| (1.0 - b).sqrt() * x + b.sqrt() * f64::from(*e));
    let ends: Vec<f64> = eps.data().chunks(40).map(walk).collect();
    let mean = ends.iter().sum::<f64>() / 20_000.0;
    let variance = ends.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
    near("2·√ā, against the mean of 20,000 walks of 40 steps,", 2.0 * image, mean, 0.03)?;
    near("1 − ā, against their variance,", noise * noise, variance, 0.03)
}
