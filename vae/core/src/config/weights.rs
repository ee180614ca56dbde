//! The weights of the loss, and the effective β. D is the number of pixel values and z the number of latents:
//!
//! ```text
//! loss = k1·reconstruction + k2·KL        k1 = 1 and k2 = β for `beta` and `tc`; k2 = γ with the schedule `capacity`
//! effective β = k2/k1                     with loss.reduction = "sum"
//!             = k2/k1 · D/z               with loss.reduction = "mean"
//! ```

use super::{Config, KlScheduleKind, LossKind, Reduction};

impl Config {
    /// Returns the weights `[k1, k2]` of reconstruction and KL, before `loss.reduction = "mean"` divides them by D and
    /// z.
    pub fn loss_weights(&self) -> [f64; 2] {
        let loss = &self.loss;
        match loss.kind {
            LossKind::Beta if loss.schedule == KlScheduleKind::Capacity => [1.0, loss.gamma],
            LossKind::Weighted => [loss.k1, loss.k2],
            LossKind::Beta | LossKind::Tc => [1.0, loss.beta],
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
}
