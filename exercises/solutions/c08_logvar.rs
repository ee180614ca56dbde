//! Hint: The variance is e to the power logvar. And ln σ² is logvar itself, so no logarithm is needed.

use autograd::Var;

pub fn kl(mu: &Var, logvar: &Var) -> Var {
    (mu.square() + logvar.exp() - 1.0 - logvar) * 0.5
}
