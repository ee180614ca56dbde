//! Repair a reconstruction loss that takes a mean instead of a sum.
//!
//! The reconstruction of an image costs the sum of the squared errors of its pixels. The loss of a batch is the mean over its
//! images: (1/images) Σ (x̂ − x)². Both have the shape [images, pixels]. This classic bug hides well: the loss falls, and the
//! pictures look plausible, until the loss gets a second term.

use crate::help::{Verdict, near};
use autograd::Var;
use tensor::Tensor;

pub fn reconstruction(guess: &Var, x: &Tensor) -> Var {
    let error = guess - Var::constant(x.clone());
    error.square().mean_all() // BUG: somewhere in this function
}

pub fn check(reconstruction: fn(&Var, &Tensor) -> Var) -> Verdict {
    let loss = |images: usize, pixels: usize| {
        let (guess, x) = (Tensor::full([images, pixels], 0.5), Tensor::zeros([images, pixels]));
        f64::from(reconstruction(&Var::constant(guess), &x).item())
    };
    let of = "when every pixel errs by ½, the loss of";
    near(&format!("{of} one image of 4 pixels"), loss(1, 4), 1.0, 1e-5)?;
    near(&format!("{of} one image of 1,024 pixels"), loss(1, 1024), 256.0, 1e-3)?;
    near(&format!("{of} 10 images of 4 pixels"), loss(10, 4), 1.0, 1e-5)
}
