//! bce_with_logits: y[n] = Σ_d ln(1 + eˡ) − x·l,   dl = dy[n]·(1/(1 + e⁻ˡ) − x)

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// The binary cross-entropy of each row, in nats, where this has the logits l: `[N, D]` and targets x `[B, D]` → `[N]`,
    /// `Σ_d ln(1 + eˡ) − x·l`. N/B rows of logits, one after the other, have the same row of targets, which gets no gradient.
    ///
    /// # Panics
    /// Unless both are matrices with rows of one size, and N is a multiple of B.
    #[track_caller]
    pub fn bce_with_logits(&self, targets: &Tensor) -> Var {
        let (logits, targets) = (self.value().clone(), targets.clone());
        Var::record("bce_with_logits", logits.bce_with_logits(&targets), |edge| {
            edge.to(self, move |dy| dy.bce_with_logits_gradient(&logits, &targets));
        })
    }
}
