//! Hint: `(logvar * 0.5).exp()` is σ. Wrap ε in `Var::constant`, because it needs no gradient. If the variance is 81, the ½ is missing.

use autograd::Var;
use tensor::Tensor;

pub fn draw(mu: &Var, logvar: &Var, eps: &Tensor) -> Var {
    mu + (logvar * 0.5).exp() * Var::constant(eps.clone())
}
