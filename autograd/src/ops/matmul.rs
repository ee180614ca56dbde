//! c = a·b:     da = dc·bᵀ,   db = aᵀ·dc.
//! c = a·bᵀ:    da = dc·b,    db = dcᵀ·a.

use crate::var::Var;

impl Var {
    /// `[m, k]`·`[k, n]` → `[m, n]`. With more dimensions it is [`bmm`](Var::bmm).
    ///
    /// # Panics
    /// Unless both are matrices whose inner sizes agree.
    #[track_caller]
    pub fn matmul(&self, rhs: &Var) -> Var {
        if self.shape().len().max(rhs.shape().len()) > 2 {
            return self.bmm(rhs);
        }
        let (a, b) = (self.value().clone(), rhs.value().clone());
        Var::record("matmul", a.matmul(&b), |edge| {
            edge.to(self, move |dc| dc.matmul_nt(&b));
            edge.to(rhs, move |dc| a.matmul_tn(dc));
        })
    }

    /// `[m, k]`·`[n, k]`ᵀ → `[m, n]`. A linear layer uses it, since its weight is `[out, in]`.
    ///
    /// # Panics
    /// Unless both are matrices with the same number of columns.
    #[track_caller]
    pub fn matmul_nt(&self, rhs: &Var) -> Var {
        let (a, b) = (self.value().clone(), rhs.value().clone());
        Var::record("matmul_nt", a.matmul_nt(&b), |edge| {
            edge.to(self, move |dc| dc.matmul(&b));
            edge.to(rhs, move |dc| dc.matmul_tn(&a));
        })
    }
}
