//! y[s] = Σ_{t ≤ s} x[t]:   dx[s] = Σ_{t ≥ s} dy[t].

use crate::var::Var;

impl Var {
    /// The sum of every element and all before it along `dim`.
    ///
    /// # Panics
    /// If the dimension does not exist.
    #[track_caller]
    pub fn cumsum(&self, dim: usize) -> Var {
        Var::record("cumsum", self.value().cumsum(dim), |edge| {
            edge.to(self, move |dy| dy.cumsum_gradient(dim));
        })
    }
}
