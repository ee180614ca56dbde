//! The nearest code of a codebook.
//!
//! A VQ-VAE replaces each vector by the nearest entry of a table, the codebook. `z` is [n, d] and `codebook` is [k, d]. Return for each row of z
//! the index of the entry with the smallest squared distance.

use crate::help::{Verdict, ensure};
use tensor::{Generator, Tensor};

pub fn nearest(z: &Tensor, codebook: &Tensor) -> Vec<usize> {
    todo!("for each vector, the index of the nearest entry")
}

pub fn check(nearest: fn(&Tensor, &Tensor) -> Vec<usize>) -> Verdict {
    let codebook = Tensor::new(&[0.0, 0.0, 10.0, 0.0, 0.0, 1.0], [3, 2]);
    let answer = nearest(&Tensor::new(&[1.0, 0.1, 6.0, 0.0, 0.0, 2.0], [3, 2]), &codebook);
    ensure(
        answer == [0, 1, 2],
        format!("for (1, 0.1), (6, 0) and (0, 2) and the entries (0, 0), (10, 0), (0, 1) it says {answer:?}"),
    )?;
    // (1.2, 1.2) is nearer to (0, 0) than (1.9, 0) is, though its numbers have the larger sum.
    let answer = nearest(&Tensor::zeros([1, 2]), &Tensor::new(&[1.9, 0.0, 1.2, 1.2], [2, 2]));
    ensure(answer == [1], format!("for (0, 0) and the entries (1.9, 0) and (1.2, 1.2) it says {answer:?}"))?;
    // Every entry is its own nearest one, even if another points into the same direction and is longer.
    let mut rng = Generator::new(1);
    let codebook = rng.normal_tensor([20, 3]) * rng.uniform_tensor([20, 1], 0.1, 5.0);
    let answer = nearest(&codebook, &codebook);
    ensure(
        answer.iter().enumerate().all(|(i, found)| i == *found),
        "an entry of the codebook is not its own nearest entry",
    )
}
