//! The gradients of + − × ÷. The backward pass sums each gradient over the dimensions that broadcasting repeated.

use crate::var::Var;

impl Var {
    /// a + b:  da = dy,  db = dy.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn add(&self, rhs: &Var) -> Var {
        Var::record("add", self.value().add(rhs.value()), |edge| {
            edge.to(self, |dy| dy.clone());
            edge.to(rhs, |dy| dy.clone());
        })
    }

    /// a − b:  da = dy,  db = −dy.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn sub(&self, rhs: &Var) -> Var {
        Var::record("sub", self.value().sub(rhs.value()), |edge| {
            edge.to(self, |dy| dy.clone());
            edge.to(rhs, |dy| dy.mul_scalar(-1.0));
        })
    }

    /// a·b:  da = dy·b,  db = dy·a.
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn mul(&self, rhs: &Var) -> Var {
        let (a, b) = (self.value().clone(), rhs.value().clone());
        Var::record("mul", a.mul(&b), |edge| {
            edge.to(self, move |dy| dy.mul(&b));
            edge.to(rhs, move |dy| dy.mul(&a));
        })
    }

    /// a / b:  da = dy/b,  db = −dy·a/b².
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn div(&self, rhs: &Var) -> Var {
        let (a, b, divisor) = (self.value().clone(), rhs.value().clone(), rhs.value().clone());
        Var::record("div", a.div(&b), |edge| {
            edge.to(self, move |dy| dy.div(&divisor));
            edge.to(rhs, move |dy| dy.mul(&a).div(&b).div(&b).mul_scalar(-1.0));
        })
    }
}
