//! Hint: The loss is the ELBO with the opposite sign. Write the ELBO, and put a minus in front of the whole of it.

use autograd::Var;

pub fn loss(log_likelihood: &Var, kl: &Var) -> Var {
    -(log_likelihood - kl)
}
