//! A traversal.
//!
//! A traversal shows what one latent does: all latents stay as they are, except for one, which takes several values. `z` is [latents].
//! Return the codes as a tensor [values, latents].

use crate::help::{Verdict, same};
use tensor::Tensor;

pub fn traversal(z: &Tensor, latent: usize, values: &[f32]) -> Tensor {
    todo!("a row for each value")
}

pub fn check(traversal: fn(&Tensor, usize, &[f32]) -> Tensor) -> Verdict {
    let z = Tensor::new(&[0.5, -1.0, 2.0], [3]);
    let expected = Tensor::new(&[0.5, -2.0, 2.0, 0.5, 0.0, 2.0, 0.5, 2.0, 2.0, 0.5, 3.0, 2.0], [4, 3]);
    same("the traversal of latent 1 from (0.5, −1, 2)", &traversal(&z, 1, &[-2.0, 0.0, 2.0, 3.0]), &expected, 1e-6)?;
    let expected = Tensor::new(&[0.5, -1.0, 7.0, 0.5, -1.0, 8.0], [2, 3]);
    same("the traversal of latent 2 from (0.5, −1, 2)", &traversal(&z, 2, &[7.0, 8.0]), &expected, 1e-6)
}
