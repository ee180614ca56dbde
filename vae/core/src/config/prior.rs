//! The second stage: the keys of `[prior]`. `vae fit-prior` fits a distribution to the latents of a trained run; training ignores
//! these keys.
//!
//! ```text
//! transformer          epochs batch_size learning_rate width blocks heads
//! ```

use serde::{Deserialize, Serialize};

use super::check::rule;
use super::keys::keys;
use super::named;
use crate::error::Result;

keys! {
    /// The prior that `vae fit-prior` fits to the latents of a trained run. Training ignores these keys.
    Prior {
        /// The number of passes over the latents of the training images.
        epochs: usize = 20, at_least(1.0);
        /// The number of images in a batch.
        batch_size: usize = 64, at_least(1.0);
        /// The learning rate of Adam. It rises over the first 5 % of the steps, then falls along a cosine.
        learning_rate: f64 = 2e-3, above(0.0);
        /// The width of the vectors inside the network.
        width: usize = 64, at_least(4.0).at_most(4096.0);
        /// The number of residual blocks of the network.
        blocks: usize = 2, at_least(1.0).at_most(64.0);
        /// The number of heads of each attention of `transformer`. It divides `width`.
        heads: usize = 4, at_least(1.0);
    }
}

named! {
    /// A distribution that latents are drawn from.
    PriorKind {
        /// That of the model: N(0, I), or for codes the frequency of each in training, independently at each position.
        Standard = "standard",
        /// A transformer that draws the codes of `vq` and `fsq` one after the other, each given those before it.
        Transformer = "transformer",
    }
}

impl PriorKind {
    /// Returns the kind with this name.
    pub fn named(name: &str) -> Option<PriorKind> {
        [PriorKind::Standard, PriorKind::Transformer].into_iter().find(|kind| kind.to_string() == name)
    }
}

impl Prior {
    /// Checks the keys of the second stage.
    ///
    /// # Errors
    /// If a rule is violated. The message names the key and a valid value.
    pub fn check(&self) -> Result<()> {
        for (key, value, least, most) in [
            ("epochs", self.epochs, 1, usize::MAX),
            ("batch_size", self.batch_size, 1, usize::MAX),
            ("width", self.width, 4, 4096),
            ("blocks", self.blocks, 1, 64),
        ] {
            rule((least..=most).contains(&value), || match most {
                usize::MAX => format!("prior.{key} = {value}: it must be at least {least}"),
                _ => format!("prior.{key} = {value}: it must be {least} to {most}"),
            })?;
        }
        let (width, heads) = (self.width, self.heads);
        rule(heads >= 1 && width.is_multiple_of(heads), || {
            format!("prior.heads = {heads}: it must divide prior.width = {width}; change one of them")
        })?;
        let rate = self.learning_rate;
        rule(rate.is_finite() && rate > 0.0, || {
            format!("prior.learning_rate = {rate}: it must be a number above 0, such as 0.001")
        })
    }
}
