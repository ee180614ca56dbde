//! How many numbers does an autoencoder learn?
//!
//! The layers are pixels → hidden → latents → hidden → pixels. Each is linear, with a bias. Return the number of all parameters.

use crate::help::{Verdict, ensure};
use nn::Linear;
use tensor::Generator;

pub fn parameters(pixels: usize, hidden: usize, latents: usize) -> usize {
    todo!("weights and biases of four layers")
}

pub fn check(parameters: fn(usize, usize, usize) -> usize) -> Verdict {
    let mut rng = Generator::new(1);
    for [pixels, hidden, latents] in [[6, 4, 2], [144, 32, 3], [1024, 128, 8]] {
        let sizes = [pixels, hidden, latents, hidden, pixels];
        let count: usize = sizes.windows(2).map(|pair| nn::count(&Linear::new(&mut rng, pair[0], pair[1]))).sum();
        let answer = parameters(pixels, hidden, latents);
        let what = format!("{pixels} pixels, {hidden} hidden units and {latents} latents");
        ensure(answer == count, format!("{what} have {count} parameters, not {answer}"))?;
    }
    Ok(())
}
