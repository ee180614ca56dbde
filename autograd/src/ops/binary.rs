//! The gradients of + − × ÷, and comparisons, which have none. The backward pass sums each gradient over the dimensions that broadcasting repeated.

use tensor::Tensor;

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

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl Var {
            $(
                $(#[$doc])*
                /// The result is a tensor, because it has no gradient. [`where_cond`](Var::where_cond) takes it as its condition.
                ///
                /// # Panics
                /// If the shapes do not broadcast.
                #[track_caller]
                pub fn $name(&self, rhs: &Var) -> Tensor {
                    self.value().$name(rhs.value())
                }
            )*
        }
    };
}

comparisons! {
    /// 1 where a = b, else 0, element by element, with broadcasting.
    eq;
    /// 1 where a ≠ b, else 0, element by element, with broadcasting.
    ne;
    /// 1 where a < b, else 0, element by element, with broadcasting.
    lt;
    /// 1 where a ≤ b, else 0, element by element, with broadcasting.
    le;
    /// 1 where a > b, else 0, element by element, with broadcasting.
    gt;
    /// 1 where a ≥ b, else 0, element by element, with broadcasting.
    ge;
}
