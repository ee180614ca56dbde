//! y = f(x):   dx = dy·f′, from the same table of functions as in `tensor/src/ops/unary.rs`.

use tensor::{Saved, Unary};

use crate::var::Var;

impl Var {
    /// The nearest whole number, whose gradient is passed on as if x had not been rounded: the straight-through estimator (Bengio,
    /// Léonard and Courville, 1308.3432). [`round`](Var::round) has the gradient 0.
    pub fn round_ste(&self) -> Var {
        Var::record("round_ste", self.value().round(), |edge| edge.to(self, |dy| dy.clone()))
    }

    fn unary(&self, f: Unary) -> Var {
        let y = f.apply(self.value());
        let kept = if f.saved == Saved::Input { self.value().clone() } else { y.clone() };
        Var::record(f.name, y, |edge| {
            edge.to(self, move |dy| f.gradient(&kept, dy));
        })
    }
}

macro_rules! var_functions {
    ($($(#[$doc:meta])* $name:ident($($p:ident),*): f = |$x:ident| $f:expr, df = |$k:ident| $df:expr, saved $saved:ident;)*) => {
        impl Var {
            $(
                $(#[$doc])*
                pub fn $name(&self $(, $p: f32)*) -> Var {
                    self.unary(Unary::$name($($p),*))
                }
            )*
        }
    };
}
tensor::unary_table!(var_functions);
