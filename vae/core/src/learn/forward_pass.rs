//! The results of a forward pass of a model with a posterior, which its learners return in the same form.

use autograd::Var;

use crate::learn::{Evaluation, Forward};
use crate::objective::Terms;

/// The images x, mu and logvar of the posterior, the latents z, the decoder's output, and the terms of the loss.
pub(super) struct ForwardPass {
    pub(super) x: Var,
    pub(super) posterior: [Var; 2],
    pub(super) z: Var,
    pub(super) logits: Var,
    pub(super) terms: Terms,
}

impl ForwardPass {
    /// The result of [`Learner::forward`](crate::learn::Learner::forward).
    pub(super) fn into_forward(self) -> Forward {
        let [mu, logvar] = self.posterior;
        let intermediates = [
            ("the images", self.x),
            ("encoder.mu", mu),
            ("encoder.logvar", logvar),
            ("the latents", self.z),
            ("the decoder's output", self.logits),
        ];
        Forward { terms: self.terms, intermediates: intermediates.into() }
    }

    /// The result of [`Learner::evaluate`](crate::learn::Learner::evaluate). `decode` decodes mu.
    pub(super) fn into_evaluation(self, decode: impl FnOnce(&Var) -> Var) -> Evaluation {
        let [mu, logvar] = &self.posterior;
        let kl_per_dim = Some(nn::loss::gaussian_kl_per_dim(mu, logvar));
        Evaluation { kl_per_dim, reconstruction: Some(decode(mu)), terms: self.terms, predicted: None }
    }
}
