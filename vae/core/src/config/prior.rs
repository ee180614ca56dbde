//! The second stage: the keys of `[prior]`. `vae fit-prior` fits a distribution to the latents of a trained run; training ignores
//! these keys.
//!
//! ```text
//! transformer    epochs batch_size learning_rate width blocks heads      the codes of vq and fsq
//! flow           epochs batch_size learning_rate width blocks steps      the latents of a VAE
//! maf            epochs batch_size learning_rate width blocks            the latents of a VAE
//! vae            epochs batch_size learning_rate width blocks            the latents of a VAE
//! gmm            components iterations                                   the latents of a VAE
//! ```

use serde::{Deserialize, Serialize};

use super::check::rule;
use super::keys::keys;
use super::named;
use super::{Config, KlScheduleKind, LossKind, ModelPrior};
use crate::error::Result;

keys! {
    /// The prior that `vae fit-prior` fits to the latents of a trained run. Training ignores these keys.
    Prior {
        /// The number of passes over the latents of the training images, for the kinds that are fitted by gradients. The default is
        /// 20 for `transformer`, 100 for `flow`, 30 for `maf` and 40 for `vae`.
        epochs: Option<usize> = None, at_least(1.0).at_most(1000000.0);
        /// The number of images in a batch.
        batch_size: usize = 64, at_least(1.0);
        /// The learning rate of Adam. It rises over the first 5 % of the steps, then falls along a cosine.
        learning_rate: f64 = 2e-3, above(0.0);
        /// The width of the vectors inside the network. The default is 64 for `transformer`, 256 for `flow` and `vae`, and 128 for
        /// `maf`.
        width: Option<usize> = None, at_least(4.0).at_most(4096.0);
        /// The number of blocks of the network. They are residual blocks of `transformer` and `flow`, masked networks in a row of `maf`,
        /// and hidden layers of both the encoder and the decoder of `vae`. The default is 2, for `maf` 5 and for `vae` 3.
        blocks: Option<usize> = None, at_least(1.0).at_most(64.0);
        /// The number of heads of each attention of `transformer`. It divides `width`.
        heads: usize = 4, at_least(1.0).at_most(4096.0);
        /// The number of steps of Heun's method with which `flow` draws.
        steps: usize = 32, at_least(1.0).at_most(10000.0);
        /// The number of Gaussians of `gmm`.
        components: usize = 10, at_least(1.0).at_most(10000.0);
        /// The largest number of iterations of expectation maximisation of `gmm`. It ends before when the log-likelihood rises by
        /// less than 0.0001 nats per image.
        iterations: usize = 100, at_least(1.0);
    }
}

named! {
    /// A distribution that latents are drawn from.
    PriorKind {
        /// That of the model: N(0, I), or for codes the frequency of each in training, independently at each position.
        Standard = "standard",
        /// A transformer that draws the codes of `vq` and `fsq` one after the other, each given those before it.
        Transformer = "transformer",
        /// A mixture of Gaussians with full covariances, fitted to the latents of a VAE by expectation maximisation.
        Gmm = "gmm",
        /// A flow that carries N(0, I) to the latents of a VAE, learnt by flow matching.
        Flow = "flow",
        /// A masked autoregressive flow, fitted to the latents of a VAE by its exact density.
        Maf = "maf",
        /// The second-stage VAE, a small VAE that is trained on the latents of a VAE.
        Vae = "vae",
    }
}

impl PriorKind {
    /// All kinds.
    pub const ALL: [PriorKind; 6] =
        [PriorKind::Standard, PriorKind::Transformer, PriorKind::Gmm, PriorKind::Flow, PriorKind::Maf, PriorKind::Vae];

    /// Returns the kind with this name.
    pub fn named(name: &str) -> Option<PriorKind> {
        PriorKind::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

/// The default of `width` for a transformer.
const WIDTH: usize = 64;
/// The default of `blocks` for a transformer.
const BLOCKS: usize = 2;

impl Prior {
    /// Returns these keys with the defaults of a kind of prior where nothing is set.
    pub fn of_kind(&self, kind: PriorKind) -> Prior {
        let (epochs, width, blocks) = match kind {
            PriorKind::Flow => (100, 256, BLOCKS),
            PriorKind::Maf => (30, 128, 5),
            PriorKind::Vae => (40, 256, 3),
            PriorKind::Standard | PriorKind::Transformer | PriorKind::Gmm => (20, WIDTH, BLOCKS),
        };
        let (epochs, width) = (self.epochs.or(Some(epochs)), self.width.or(Some(width)));
        Prior { epochs, width, blocks: self.blocks.or(Some(blocks)), ..self.clone() }
    }

    /// Returns the number of epochs.
    pub fn epochs(&self) -> usize {
        self.epochs.unwrap_or(20)
    }

    /// Returns the width of the network.
    pub fn width(&self) -> usize {
        self.width.unwrap_or(WIDTH)
    }

    /// Returns the number of blocks of the network.
    pub fn blocks(&self) -> usize {
        self.blocks.unwrap_or(BLOCKS)
    }

    /// Checks the keys of the second stage for a prior of this kind.
    ///
    /// # Errors
    /// If a rule is violated. The message names the key and a valid value.
    pub fn check_for(&self, kind: PriorKind) -> Result<()> {
        self.check()?;
        let (width, heads) = (self.width(), self.heads);
        rule(kind != PriorKind::Transformer || width.is_multiple_of(heads), || {
            format!("prior.heads = {heads}: it must divide prior.width = {width}; change one of them")
        })
    }

    /// Checks the rules that all kinds share.
    ///
    /// # Errors
    /// If a rule is violated. The message names the key and a valid value.
    pub fn check(&self) -> Result<()> {
        for (key, value, least, most) in [
            ("epochs", self.epochs.unwrap_or(1), 1, 1_000_000),
            ("batch_size", self.batch_size, 1, usize::MAX),
            ("width", self.width.unwrap_or(4), 4, 4096),
            ("blocks", self.blocks(), 1, 64),
            ("steps", self.steps, 1, 10_000),
            ("heads", self.heads, 1, 4096),
            ("components", self.components, 1, 10_000),
            ("iterations", self.iterations, 1, usize::MAX),
        ] {
            rule((least..=most).contains(&value), || match most {
                usize::MAX => format!("prior.{key} = {value}: it must be at least {least}"),
                _ => format!("prior.{key} = {value}: it must be {least} to {most}"),
            })?;
        }
        let rate = self.learning_rate;
        rule(rate.is_finite() && rate > 0.0, || {
            format!("prior.learning_rate = {rate}: it must be a number above 0, such as 0.001")
        })
    }
}

impl Config {
    /// Checks the rules of the prior that is trained with the model.
    pub(super) fn check_model_prior(&self) -> Result<()> {
        let (model, loss) = (&self.model, &self.loss);
        rule((1..=1_000_000).contains(&model.pseudo_inputs), || {
            format!("model.pseudo_inputs = {}: it must be 1 to 1000000", model.pseudo_inputs)
        })?;
        if model.prior == ModelPrior::Standard {
            return Ok(());
        }
        let vamp = "model.prior = \"vamp\"";
        rule(model.is_vae(), || {
            format!("{vamp} is a prior of a VAE, and model.kind = \"{}\" is none; leave it out", model.kind)
        })?;
        rule(!model.conditional, || format!("{vamp}: pseudo-inputs have no labels; set model.conditional = false"))?;
        rule(!model.has_batch_norm(), || {
            format!(
                "{vamp}: batch norm would mix images and pseudo-inputs; set model.batch_norm = false, or use basic, conv3 or dense"
            )
        })?;
        rule(matches!(loss.kind, LossKind::Beta | LossKind::Weighted), || {
            format!(
                "{vamp} works with loss.kind = \"beta\" or \"weighted\", not \"{}\"; change one of the two",
                loss.kind
            )
        })?;
        rule(!matches!(loss.schedule, KlScheduleKind::FreeBits | KlScheduleKind::Capacity), || {
            format!(
                "{vamp}: loss.schedule = \"{}\" needs the KL of each latent to N(0, 1); use constant, linear or cyclical",
                loss.schedule
            )
        })
    }
}
