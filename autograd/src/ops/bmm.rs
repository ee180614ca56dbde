//! For each matrix:  c = a·b: da = dc·bᵀ, db = aᵀ·dc;   c = a·bᵀ: da = dc·b, db = dcᵀ·a.
//! The backward pass sums over matrices that were repeated.

use crate::var::Var;

impl Var {
    /// `self·rhs` for each matrix: `[…, m, k]`·`[…, k, n]` → `[…, m, n]`. The dimensions in front broadcast.
    ///
    /// # Panics
    /// Unless both have at least two dimensions, the inner sizes agree, and the dimensions in front broadcast.
    #[track_caller]
    pub fn bmm(&self, rhs: &Var) -> Var {
        let (a, b) = (self.value().clone(), rhs.value().clone());
        Var::record("bmm", a.bmm(&b), |edge| {
            edge.to(self, move |dc| dc.bmm_nt(&b));
            edge.to(rhs, move |dc| a.bmm_tn(dc));
        })
    }

    /// `self·rhsᵀ` for each matrix: `[…, m, k]`·`[…, n, k]`ᵀ → `[…, m, n]`. The dimensions in front broadcast.
    ///
    /// # Panics
    /// Unless both have at least two dimensions, the inner sizes agree, and the dimensions in front broadcast.
    #[track_caller]
    pub fn bmm_nt(&self, rhs: &Var) -> Var {
        let (a, b) = (self.value().clone(), rhs.value().clone());
        Var::record("bmm_nt", a.bmm_nt(&b), |edge| {
            edge.to(self, move |dc| dc.bmm(&b));
            edge.to(rhs, move |dc| dc.bmm_tn(&a));
        })
    }
}
