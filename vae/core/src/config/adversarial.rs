//! The losses with a second player, `vae-gan` and `soft-intro`: their keys, their rules and their words.

use super::check::rule;
use super::{Config, Loss, LossKind, Reconstruction, Reduction, ScheduleKind};
use crate::error::Result;

impl Config {
    /// Checks the keys of the losses with a second player.
    pub(super) fn check_adversarial(&self) -> Result<()> {
        let Loss { kind, discriminator_rate: rate, adversarial, beta_neg, .. } = self.loss;
        rule(rate.is_finite() && rate > 0.0, || {
            format!("loss.discriminator_rate = {rate}: it must be a number above 0, such as 0.0001")
        })?;
        for (key, weight, term) in [
            ("adversarial", adversarial, "decoder's loss against the discriminator"),
            ("beta_neg", beta_neg, "KL of decoded draws"),
        ] {
            rule(weight.is_finite() && weight >= 0.0, || {
                format!("loss.{key} = {weight}: the weight of the {term} must be 0 or more")
            })?;
        }
        match kind {
            LossKind::VaeGan => self.check_vae_gan(),
            LossKind::SoftIntro => self.check_soft_intro(),
            _ => Ok(()),
        }
    }

    fn check_vae_gan(&self) -> Result<()> {
        self.check_both()?;
        let (channels, size) = (&self.loss.discriminator_channels, self.image_size());
        rule((1..=12).contains(&channels.len()) && channels.iter().all(|&channels| channels >= 1), || {
            format!(
                "loss.discriminator_channels = {channels:?}: give 1 to 12 convolutions with at least one channel each, such as [32, 64]"
            )
        })?;
        rule(size >> channels.len() >= 1, || {
            let most = size.checked_ilog2().unwrap_or(0);
            format!(
                "loss.discriminator_channels = {channels:?}: each convolution halves the image, and data.image_size = {size} allows {most}; leave out some"
            )
        })?;
        let layer = self.loss.feature_layer;
        rule((1..=channels.len()).contains(&layer), || {
            format!(
                "loss.feature_layer = {layer}: the discriminator has {} convolutions; set 1 to {}",
                channels.len(),
                channels.len()
            )
        })?;
        let train = &self.train;
        let why = "the loss of \"vae-gan\" moves with its discriminator, so no epoch is better than another by it";
        rule(train.early_stopping == 0, || {
            format!("train.early_stopping = {}: {why}; leave it at 0", train.early_stopping)
        })?;
        rule(train.schedule != ScheduleKind::Plateau, || {
            format!("train.schedule = \"plateau\": {why}; set \"constant\", \"linear\" or \"cosine\"")
        })
    }

    fn check_soft_intro(&self) -> Result<()> {
        self.check_both()?;
        rule(self.loss.beta > 0.0, || {
            "loss.beta = 0: without a KL, \"soft-intro\" has nothing to tell images from decoded draws by; set it above 0".into()
        })?;
        let why = "\"soft-intro\" needs an encoder and a decoder that learn from each other";
        rule(!self.model.freeze_encoder, || format!("model.freeze_encoder = true: {why}; leave it out"))?;
        rule(!self.train.activation_checkpointing, || {
            "train.activation_checkpointing = true: \"soft-intro\" holds halves of the model constant for parts of a step, and what is \
             computed again later would train them; leave it out, and lower train.batch_size with train.accumulate to save memory"
                .into()
        })
    }

    /// Checks the rules that both kinds share.
    fn check_both(&self) -> Result<()> {
        let Loss { kind, reduction, reconstruction, .. } = self.loss;
        rule(reduction == Reduction::Sum, || {
            format!(
                "loss.reduction = \"mean\": the terms of loss.kind = \"{kind}\" are weighed as sums over pixels, features and latents; set \"sum\""
            )
        })?;
        rule(reconstruction != Reconstruction::Gaussian, || {
            format!(
                "loss.reconstruction = \"gaussian\": loss.kind = \"{kind}\" has no σ to fit to pixels; set \"sse\", \"half-sse\" or \"bce\""
            )
        })
    }
}

impl LossKind {
    /// Returns whether a discriminator is trained with the model.
    pub fn has_discriminator(self) -> bool {
        matches!(self, LossKind::Factor | LossKind::Csvae | LossKind::VaeGan)
    }

    /// Returns whether totals of different epochs measure the same thing. Those of a `vae-gan` are in features that change, so that no
    /// epoch is the best, and the last one is kept.
    pub fn total_is_comparable(self) -> bool {
        self != LossKind::VaeGan
    }
}

impl Loss {
    /// Returns a description of the terms and weights of a loss with a second player.
    pub(super) fn adversarial_words(&self, reconstruction: &str) -> String {
        let Loss { beta, adversarial, beta_neg, feature_layer, discriminator_channels: channels, .. } = self;
        if self.kind == LossKind::SoftIntro {
            return format!("{reconstruction} + {beta} × KL, a Soft-IntroVAE with β_neg = {beta_neg}");
        }
        let norm = if self.spectral_norm { ", spectral norm" } else { "" };
        format!(
            "½ × squared features + {beta} × KL + {adversarial} × generator, a VAE-GAN with features of layer {feature_layer} of {channels:?}{norm}"
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::told;

    #[test]
    fn each_rule_names_its_key_and_the_remedy() {
        let (gan, intro, factor) = ("loss.kind=vae-gan", "loss.kind=soft-intro", "loss.kind=factor");
        for (settings, says) in [
            (
                &["loss.discriminator_rate=0.1"][..],
                "only loss.kind = \"factor\", \"csvae\", \"vae-gan\" use it, not \"beta\"",
            ),
            (&[factor, "loss.discriminator_rate=0"], "loss.discriminator_rate = 0: it must be a number above 0"),
            (&[gan, "loss.adversarial=-1"], "loss.adversarial = -1: the weight of the decoder's loss against"),
            (
                &[factor, "loss.adversarial=2"],
                "loss.adversarial = 2: only loss.kind = \"vae-gan\" uses it, not \"factor\"",
            ),
            (
                &["loss.discriminator_channels=8,9"],
                "loss.discriminator_channels = [8, 9]: only loss.kind = \"vae-gan\"",
            ),
            (&[gan, "loss.discriminator_channels=8,0"], "give 1 to 12 convolutions"),
            (
                &[gan, "loss.discriminator_channels=1,2,3,4,5,6"],
                "each convolution halves the image, and data.image_size = 32 allows 5; leave out some",
            ),
            (&["loss.feature_layer=2"], "loss.feature_layer = 2: only loss.kind = \"vae-gan\""),
            (&[gan, "loss.feature_layer=4"], "the discriminator has 3 convolutions; set 1 to 3"),
            (&[gan, "loss.feature_layer=0"], "loss.feature_layer = 0"),
            (&[intro, "loss.spectral_norm=false"], "loss.spectral_norm = false: only loss.kind = \"vae-gan\""),
            (&[gan, "loss.beta_neg=9"], "loss.beta_neg = 9: only loss.kind = \"soft-intro\" uses it, not \"vae-gan\""),
            (&[intro, "loss.beta_neg=nan"], "loss.beta_neg = NaN: the weight of the KL of decoded draws"),
            (&[gan, "train.early_stopping=3"], "train.early_stopping = 3: the loss of \"vae-gan\" moves with"),
            (&[gan, "train.schedule=plateau"], "set \"constant\", \"linear\" or \"cosine\""),
            (&[intro, "loss.beta=0"], "loss.beta = 0: without a KL"),
            (&[intro, "model.freeze_encoder=true"], "model.freeze_encoder = true: \"soft-intro\" needs"),
            (
                &[intro, "train.activation_checkpointing=true"],
                "train.activation_checkpointing = true: \"soft-intro\" holds",
            ),
            (&[gan, "loss.reduction=mean"], "the terms of loss.kind = \"vae-gan\" are weighed as sums"),
            (&[intro, "loss.reconstruction=gaussian"], "loss.kind = \"soft-intro\" has no σ to fit"),
            (&[gan, "loss.schedule=free-bits"], "works with loss.kind = \"beta\" or \"weighted\", not \"vae-gan\""),
            (&[intro, "loss.schedule=capacity"], "works with loss.kind = \"beta\", not \"soft-intro\""),
            (&[gan, "model.kind=vq"], "loss.kind = \"vae-gan\" is for models with a posterior"),
            (&[intro, "model.prior=vamp", "model.kind=dense"], "not \"soft-intro\""),
        ] {
            let told = told(settings);
            assert!(told.contains(says) && !told.contains("  ") && !told.contains('\n'), "{settings:?}: {told}");
        }
    }

    #[test]
    fn the_terms_and_their_weights_are_described() {
        for (settings, words) in [
            (
                &["loss.kind=vae-gan", "loss.beta=0.1", "loss.adversarial=2"][..],
                "½ × squared features + 0.1 × KL + 2 × generator, a VAE-GAN with features of layer 1 of [32, 64, 128], spectral norm",
            ),
            (&["loss.kind=vae-gan", "loss.spectral_norm=false"], "of [32, 64, 128], sum over"),
            (
                &["loss.kind=soft-intro", "loss.beta=2", "loss.beta_neg=40"],
                "sse + 2 × KL, a Soft-IntroVAE with β_neg = 40, sum over",
            ),
            (&["loss.kind=soft-intro", "loss.schedule=linear"], "the KL's weight rises"),
        ] {
            let told = told(settings);
            assert!(told.contains(words), "{settings:?}: {told}");
        }
    }
}
