//! The losses that look at q(z), the latents of all images together: the keys of `dip`, `mmd`, `factor` and `csvae`, their rules and
//! their words.

use super::check::rule;
use super::weights::complement;
use super::{Config, Dip, KlScheduleKind, Loss, LossKind, Reduction};
use crate::error::Result;

impl Config {
    /// Checks the keys of the losses on q(z).
    pub(super) fn check_aggregate(&self) -> Result<()> {
        let Loss { kind, lambda_od, lambda_d, lambda, .. } = self.loss;
        let Loss { discriminator_width: width, discriminator_layers: layers, .. } = self.loss;
        for (key, weight, term) in [
            ("lambda_od", lambda_od, "covariances"),
            ("lambda_d", lambda_d, "variances"),
            ("lambda", lambda, "distance between q(z) and the prior"),
        ] {
            rule(weight.is_finite() && weight >= 0.0, || {
                format!("loss.{key} = {weight}: the weight of the {term} must be 0 or more")
            })?;
        }
        for (key, size, most) in [("discriminator_width", width, 4096), ("discriminator_layers", layers, 32)] {
            rule((1..=most).contains(&size), || format!("loss.{key} = {size}: it must be 1 to {most}"))?;
        }
        if !matches!(kind, LossKind::Dip | LossKind::Mmd | LossKind::Factor | LossKind::Csvae) {
            return Ok(());
        }
        rule(self.loss.reduction == Reduction::Sum, || {
            format!(
                "loss.reduction = \"mean\": the penalty of loss.kind = \"{kind}\" is not a sum over latents that a mean could replace; \
                 set \"sum\""
            )
        })?;
        match kind {
            LossKind::Csvae => self.check_csvae(),
            LossKind::Mmd => self.check_mmd(),
            LossKind::Factor => self.check_factor(),
            _ => Ok(()),
        }
    }

    /// The permutation has a place for each number of a batch, stored as f32, which is exact up to 2²⁴.
    fn check_factor(&self) -> Result<()> {
        const MOST: usize = 1 << 24;
        let (batch, z) = (self.train.batch_size, self.model.z_dim);
        let images = batch.min(self.train_images().unwrap_or(usize::MAX));
        rule(images.saturating_mul(z) <= MOST, || {
            format!(
                "train.batch_size = {batch}: loss.kind = \"factor\" permutes at most {MOST} numbers, and {images} images with model.z_dim = {z} \
                 have more; lower one of the two"
            )
        })
    }

    fn check_csvae(&self) -> Result<()> {
        let (subspace, z) = (self.loss.subspace, self.model.z_dim);
        rule(self.model.conditional, || {
            "loss.kind = \"csvae\": its latents depend on labels; set model.conditional = true".into()
        })?;
        rule((1..z).contains(&subspace), || {
            format!(
                "loss.subspace = {subspace}: some of the model.z_dim = {z} latents must be left for what the label does not say; \
                 set a smaller loss.subspace or a larger model.z_dim"
            )
        })
    }

    fn check_mmd(&self) -> Result<()> {
        let Loss { alpha, beta, lambda, .. } = self.loss;
        rule(beta == 1.0, || {
            format!(
                "loss.beta = {beta}: the KL of loss.kind = \"mmd\" has the weight 1 - loss.alpha; leave loss.beta at 1"
            )
        })?;
        rule(alpha <= 1.0, || {
            format!("loss.alpha = {alpha}: the KL of loss.kind = \"mmd\" has the weight 1 - loss.alpha; set 0 to 1")
        })?;
        rule(alpha + lambda >= 1.0, || {
            format!(
                "loss.lambda = {lambda}: the MMD has the weight alpha + lambda - 1, which must not be negative; with loss.alpha = {alpha} \
                 set {} or more",
                complement(alpha)
            )
        })?;
        let schedule = self.loss.schedule;
        rule(alpha < 1.0 || schedule == KlScheduleKind::Constant, || {
            format!(
                "loss.schedule = \"{schedule}\" changes the weight of the KL, which is 0 with loss.kind = \"mmd\" and loss.alpha = 1; \
                 leave it at \"constant\", or set a lower loss.alpha"
            )
        })
    }
}

impl Loss {
    /// Returns a description of the terms and weights of a loss on q(z).
    pub(super) fn aggregate_words(&self, reconstruction: &str) -> String {
        let Loss { alpha, beta, gamma, lambda, lambda_od, lambda_d, .. } = self;
        match (self.kind, self.dip) {
            (LossKind::Mmd, _) if *alpha == 1.0 => format!("{reconstruction} + {lambda} × MMD, a WAE-MMD"),
            (LossKind::Mmd, _) => {
                format!("{reconstruction} + (1 - {alpha}) × KL + ({alpha} + {lambda} - 1) × MMD, an InfoVAE")
            }
            (LossKind::Factor, _) => format!(
                "{reconstruction} + {beta} × KL + {gamma} × TC, a FactorVAE whose discriminator has {} layers of {}",
                self.discriminator_layers, self.discriminator_width
            ),
            (LossKind::Csvae, _) => format!(
                "{reconstruction} + {beta} × KL + {gamma} × I(label; other latents), a CSVAE of {} latents for the label",
                self.subspace
            ),
            (_, dip) => format!(
                "{reconstruction} + {beta} × KL + {lambda_od} × Σ C_ij² + {lambda_d} × Σ (C_ii - 1)², C = {}",
                if dip == Dip::I { "Cov[mu], a DIP-VAE-I" } else { "Cov[mu] + E[σ²], a DIP-VAE-II" }
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::told;

    #[test]
    fn each_rule_names_its_key_and_the_remedy() {
        let (dip, mmd, factor) = ("loss.kind=dip", "loss.kind=mmd", "loss.kind=factor");
        let (csvae, labels) = ("loss.kind=csvae", "model.conditional=true");
        for (settings, says) in [
            (&["loss.dip=i"][..], "loss.dip = \"i\": only loss.kind = \"dip\" uses it, not \"beta\"; leave it out"),
            (&[mmd, "loss.lambda_od=2"], "loss.lambda_od = 2: only loss.kind = \"dip\" uses it, not \"mmd\""),
            (&["loss.lambda_d=2"], "loss.lambda_d = 2: only loss.kind = \"dip\""),
            (&[dip, "loss.lambda=2"], "loss.lambda = 2: only loss.kind = \"mmd\" uses it, not \"dip\""),
            (&[dip, "loss.lambda_od=-1"], "loss.lambda_od = -1: the weight of the covariances must be 0 or more"),
            (&[dip, "loss.lambda_d=nan"], "loss.lambda_d = NaN"),
            (&[mmd, "loss.lambda=inf"], "loss.lambda = inf"),
            (
                &["loss.discriminator_width=64"],
                "loss.discriminator_width = 64: only loss.kind = \"factor\", \"csvae\" use it",
            ),
            (&[dip, "loss.discriminator_layers=2"], "only loss.kind = \"factor\", \"csvae\" use it, not \"dip\""),
            (&[factor, "loss.discriminator_width=0"], "loss.discriminator_width = 0: it must be 1 to 4096"),
            (&[factor, "loss.discriminator_layers=33"], "loss.discriminator_layers = 33: it must be 1 to 32"),
            (
                &[factor, "model.kind=dense", "model.z_dim=4096", "train.batch_size=8334"],
                "permutes at most 16777216 numbers, and 8334 images with model.z_dim = 4096 have more; lower one of the two",
            ),
            (&[factor, "loss.reduction=mean"], "the penalty of loss.kind = \"factor\" is not a sum over latents"),
            (&[dip, "loss.reduction=mean"], "the penalty of loss.kind = \"dip\" is not a sum over latents"),
            (&[mmd, "loss.reduction=mean"], "set \"sum\""),
            (&[mmd, "loss.beta=2"], "loss.beta = 2: the KL of loss.kind = \"mmd\" has the weight 1 - loss.alpha"),
            (
                &[mmd, "loss.alpha=1.5"],
                "loss.alpha = 1.5: the KL of loss.kind = \"mmd\" has the weight 1 - loss.alpha; set 0 to 1",
            ),
            (&[mmd, "loss.alpha=0.25", "loss.lambda=0.5"], "with loss.alpha = 0.25 set 0.75 or more"),
            (&[mmd, "loss.alpha=0.9", "loss.lambda=0.05"], "with loss.alpha = 0.9 set 0.1 or more"),
            (&[mmd, "loss.schedule=linear"], "which is 0 with loss.kind = \"mmd\" and loss.alpha = 1"),
            (&[mmd, "loss.alpha=0", "loss.schedule=capacity"], "works with loss.kind = \"beta\", not \"mmd\""),
            (&[dip, "loss.schedule=free-bits"], "works with loss.kind = \"beta\" or \"weighted\", not \"dip\""),
            (
                &[dip, "model.prior=vamp", "model.kind=dense"],
                "works with loss.kind = \"beta\" or \"weighted\", not \"dip\"",
            ),
            (&["loss.subspace=3"], "loss.subspace = 3: only loss.kind = \"csvae\" uses it, not \"beta\"; leave it out"),
            (&[csvae], "loss.kind = \"csvae\": its latents depend on labels; set model.conditional = true"),
            (&[csvae, labels, "model.z_dim=2"], "loss.subspace = 2: some of the model.z_dim = 2 latents must be left"),
            (&[csvae, labels, "loss.subspace=0"], "loss.subspace = 0: "),
            (&[csvae, labels, "loss.reduction=mean"], "the penalty of loss.kind = \"csvae\" is not a sum over latents"),
            (&[csvae, labels, "model.z_dim=3"], "a CSVAE of 2 latents for the label, sum over"),
            (&[mmd, "model.kind=vq"], "loss.kind = \"mmd\" is for models with a posterior"),
        ] {
            let told = told(settings);
            assert!(told.contains(says) && !told.contains("  "), "{settings:?}: {told}");
        }
    }

    #[test]
    fn the_terms_and_their_weights_are_described() {
        for (settings, words) in [
            (&["loss.kind=mmd"][..], "sse + 10 × MMD, a WAE-MMD, sum over"),
            (&["loss.kind=mmd"], "effective β = 0 "),
            (
                &["loss.kind=mmd", "loss.alpha=0.9", "loss.lambda=100", "loss.schedule=linear"],
                "sse + (1 - 0.9) × KL + (0.9 + 100 - 1) × MMD, an InfoVAE, sum over pixels and latents, mean over images; \
                 effective β = 0.1 (the weight of the KL relative to the reconstruction); the KL's weight rises",
            ),
            (&["loss.kind=mmd", "loss.alpha=0", "loss.lambda=1"], "effective β = 1 "),
            (
                &["loss.kind=dip", "loss.lambda_d=5", "loss.beta=2"],
                "sse + 2 × KL + 10 × Σ C_ij² + 5 × Σ (C_ii - 1)², C = Cov[mu] + E[σ²], a DIP-VAE-II",
            ),
            (
                &["loss.kind=factor", "loss.gamma=35", "loss.discriminator_layers=4"],
                "sse + 1 × KL + 35 × TC, a FactorVAE whose discriminator has 4 layers of 256, sum over",
            ),
            (&["loss.kind=dip", "loss.dip=i"], "C = Cov[mu], a DIP-VAE-I, sum over"),
            (
                &["loss.kind=csvae", "model.conditional=true", "loss.gamma=20", "loss.subspace=3"],
                "sse + 1 × KL + 20 × I(label; other latents), a CSVAE of 3 latents for the label, sum over",
            ),
        ] {
            let told = told(settings);
            assert!(told.contains(words), "{settings:?}: {told}");
        }
    }
}
