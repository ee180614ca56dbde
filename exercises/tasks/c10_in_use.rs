//! Which latents are in use?
//!
//! A latent whose KL, averaged over images, is above 0.1 nat is in use. `mu` and `logvar` are [images, latents]. Return the number of
//! latents in use. The KL of one latent is ½ (μ² + e^logvar − 1 − logvar).

use crate::help::{Verdict, ensure};
use tensor::{Generator, Tensor};

pub fn latents_in_use(mu: &Tensor, logvar: &Tensor) -> usize {
    todo!("how many latents have a mean KL above 0.1")
}

pub fn check(latents_in_use: fn(&Tensor, &Tensor) -> usize) -> Verdict {
    let zeros = Tensor::zeros([4, 3]);
    let found = latents_in_use(&zeros, &zeros);
    ensure(found == 0, format!("if every posterior is N(0, I), {found} latents are in use instead of 0"))?;
    // Latent 0 is as wide as the prior and moves; latent 1 stays, but is narrow; latent 2 does little, but its KL would be too
    // large without the ½.
    let mu = Generator::new(1).normal_tensor([500, 3]) * Tensor::new(&[1.5, 0.0, 0.4], [3]);
    let logvar = Tensor::new(&[0.0, -3.0, 0.0], [1, 3]).expand([500, 3]);
    let found = latents_in_use(&mu, &logvar);
    ensure(
        found == 2,
        format!("of three latents with mean KLs of about 1.1, 1.0 and 0.08, {found} are said to be in use"),
    )
}
