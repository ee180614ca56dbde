//! z = μ + σ·ε:   dμ = dz,  dlogvar = ½ dz·σ·ε.      y = ½ (μ² + σ² − 1 − logvar):   dμ = dy·μ,  dlogvar = ½ dy·(σ² − 1).

use tensor::Tensor;

use crate::var::Var;

impl Var {
    /// z = μ + e^(logvar/2)·ε, where this is μ. If ε is a draw from N(0, 1), z is one from N(μ, e^logvar), and gradients flow to μ and
    /// `logvar` (the reparameterisation trick: Kingma and Welling, 1312.6114, section 2.4). All have one shape.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn reparameterise(&self, logvar: &Var, eps: &Tensor) -> Var {
        let z = self.value().reparameterise(logvar.value(), eps);
        let (l, eps) = (logvar.value().clone(), eps.clone());
        Var::record("reparameterise", z, |edge| {
            edge.to(self, |dz| dz.clone());
            edge.to(logvar, move |dz| dz.reparameterise_gradient(&l, &eps));
        })
    }

    /// KL(N(μ, e^logvar) ‖ N(0, 1)) = ½ (μ² + e^logvar − 1 − logvar) of each element, in nats, where this is μ.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn gaussian_kl(&self, logvar: &Var) -> Var {
        let (mu, l) = (self.value().clone(), logvar.value().clone());
        let y = mu.gaussian_kl(&l);
        Var::record("gaussian_kl", y, |edge| {
            edge.joint([self, logvar], move |dy, _| dy.gaussian_kl_gradient(&mu, &l).map(Some));
        })
    }
}
