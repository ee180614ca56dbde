//! The weights of the loss, and the effective β. D is the number of pixel values and z the number of latents:
//!
//! ```text
//! loss = k1·reconstruction + k2·KL        k1 = 1 and k2 = β for `beta`, `tc`, `iwae`, `dip`, `factor`, `csvae`, `vae-gan` (of features)
//!                                       and `soft-intro`, 1 − α for `mmd`;
//!                                       k2 = γ with the schedule `capacity`
//! effective β = k2/k1                     with loss.reduction = "sum"
//!             = k2/k1 · D/z               with loss.reduction = "mean"
//! ```
//!
//! A weight of squared errors is a variance. Divided by k2, the loss is c·Σ(x − x̂)²/β + KL, with c = 1 for `sse` and ½ for
//! `half-sse`. That is, up to a constant, the negative ELBO of a decoder N(x̂, σ²) with σ² = β/(2c).

use super::{Config, KlScheduleKind, LossKind, Normalise, Reconstruction, Reduction, Variance};

/// Returns 1 − x without the last digits, so that 1 − 0.9 is printed as 0.1.
pub(super) fn complement(x: f64) -> f64 {
    ((1.0 - x) * 1e12).round() / 1e12
}

impl Config {
    /// Returns the weights `[k1, k2]` of reconstruction and KL, before `loss.reduction = "mean"` divides them by D and
    /// z.
    pub fn loss_weights(&self) -> [f64; 2] {
        let loss = &self.loss;
        match loss.kind {
            LossKind::Beta if loss.schedule == KlScheduleKind::Capacity => [1.0, loss.gamma],
            LossKind::Weighted => [loss.k1, loss.k2],
            LossKind::Beta | LossKind::Tc | LossKind::Iwae | LossKind::Dip | LossKind::Factor => [1.0, loss.beta],
            LossKind::Csvae | LossKind::VaeGan | LossKind::SoftIntro => [1.0, loss.beta],
            LossKind::Mmd => [1.0, complement(loss.alpha)],
        }
    }

    /// Returns the effective β: the weight of the summed KL divided by the weight of the summed reconstruction. It is
    /// infinite if the weight of the reconstruction is 0.
    pub fn effective_beta(&self) -> f64 {
        let [k1, k2] = self.loss_weights();
        match self.loss.reduction {
            Reduction::Sum => k2 / k1,
            Reduction::Mean => k2 / k1 * self.pixels() as f64 / self.model.z_dim as f64,
        }
    }

    /// Returns a sentence on the weight of the KL, if there is something to say: what the effective β means for this
    /// reconstruction term, and what to do if it does not fit.
    pub fn kl_weight_hint(&self) -> Option<String> {
        let beta = self.effective_beta();
        if !self.model.is_vae()
            || matches!(self.loss.kind, LossKind::Tc | LossKind::Mmd | LossKind::VaeGan)
            || beta == 0.0
            || beta.is_infinite()
        {
            return None;
        }
        let assumed = match self.loss.reconstruction {
            Reconstruction::Sse => beta / 2.0,
            Reconstruction::HalfSse => beta,
            Reconstruction::Gaussian if self.loss.variance == Variance::Fixed => beta * self.loss.sigma.powi(2),
            Reconstruction::Gaussian | Reconstruction::Bce => {
                return (beta != 1.0).then(|| {
                    let effect =
                        if beta > 1.0 { "more, so fewer latents are used" } else { "less, so errors get smaller" };
                    format!("with this likelihood an effective β of 1 gives the ELBO; {beta} weighs the KL {effect}")
                });
            }
        };
        let range = match self.data.normalise {
            Normalise::Unit => "pixels from 0 to 1",
            Normalise::Symmetric => "pixels from −1 to 1",
            Normalise::Standard => "pixels of variance 1",
        };
        Some(format!(
            "this weight assumes errors of σ = {:.3} for {range}; loss.reconstruction = \"gaussian\" finds σ, with effective β = 1",
            assumed.sqrt()
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::config;

    fn hint(settings: &[&str]) -> String {
        config(settings).kl_weight_hint().unwrap_or_default()
    }

    /// β·KL + Σ(x − x̂)² is the ELBO of σ² = β/2.
    #[test]
    fn a_weight_of_squares_is_told_as_a_standard_deviation() {
        for (settings, sigma) in [
            (&["loss.beta=1"][..], "σ = 0.707 for pixels from 0 to 1"),
            (&["loss.beta=0.02"], "σ = 0.100 for pixels from 0 to 1"),
            (&["loss.beta=4", "loss.reconstruction=half-sse"], "σ = 2.000 "),
            (&["loss.kind=weighted", "loss.k1=2", "loss.k2=1"], "σ = 0.500 "),
            (&["loss.reduction=mean", "loss.beta=0.02", "model.z_dim=1024"], "σ = 0.100 "), // D = 1,024 too
            (&["loss.reconstruction=gaussian", "loss.variance=fixed", "loss.sigma=0.5", "loss.beta=4"], "σ = 1.000 "),
            (&["data.normalise=symmetric"], "for pixels from −1 to 1;"),
            (&["data.normalise=standard"], "for pixels of variance 1;"),
        ] {
            assert!(hint(settings).contains(sigma), "{settings:?}: {}", hint(settings));
        }
    }

    #[test]
    fn a_calibrated_likelihood_needs_no_hint_unless_beta_is_not_1() {
        let (bce, gaussian) = ("loss.reconstruction=bce", "loss.reconstruction=gaussian");
        for settings in [
            &[bce][..],
            &[gaussian],
            &[gaussian, "loss.variance=learned"],
            &["loss.kind=tc"],
            &["loss.kind=mmd", "loss.alpha=0.5"],
            &["loss.beta=0"],
            &["loss.kind=weighted", "loss.k1=0"],
            &["model.kind=vq"],
            &["model.kind=classifier"],
        ] {
            assert_eq!(hint(settings), "", "{settings:?}");
        }
        assert!(hint(&[bce, "loss.beta=4"]).contains("gives the ELBO; 4 weighs the KL more, so fewer latents"));
        assert!(
            hint(&[gaussian, "loss.beta=0.5"])
                .contains("gives the ELBO; 0.5 weighs the KL less, so errors get smaller")
        );
    }
}
