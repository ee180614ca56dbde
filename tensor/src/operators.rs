//! The operators + − × ÷ between tensors and numbers, by value and by reference:  `&a + &b`, `2.0 * a`, `-a`.
//!
//! `autograd` implements them for its `Var` with the same macro. Each calls the method of its name, so that shapes broadcast, and a
//! panic names the caller's line.

use crate::tensor::Tensor;

/// Implements the operators for a type that has `add`, `sub`, `mul` and `div`, the same for a scalar, and `full_like`.
#[macro_export]
#[doc(hidden)]
macro_rules! operators {
    ($type:ident) => {
        $crate::operators!(@each $type, $type);
        $crate::operators!(@each $type, &$type);
    };
    // The operators whose left operand, or whose right one beside a number, is of this type.
    (@each $type:ident, $own:ty) => {
        $crate::operators!(@pair $type, $own, Add add);
        $crate::operators!(@pair $type, $own, Sub sub);
        $crate::operators!(@pair $type, $own, Mul mul);
        $crate::operators!(@pair $type, $own, Div div);
        $crate::operators!(@number $type, $own, Add add, |x, c| x.add_scalar(c), x.add_scalar(c));
        $crate::operators!(@number $type, $own, Sub sub, |x, c| x.add_scalar(-c), x.mul_scalar(-1.0).add_scalar(c));
        $crate::operators!(@number $type, $own, Mul mul, |x, c| x.mul_scalar(c), x.mul_scalar(c));
        $crate::operators!(@number $type, $own, Div div, |x, c| x.div_scalar(c), $type::div(&x.full_like(c), x));
        impl ::std::ops::Neg for $own {
            type Output = $type;
            fn neg(self) -> $type {
                self.mul_scalar(-1.0)
            }
        }
    };
    (@pair $type:ident, $own:ty, $trait:ident $method:ident) => {
        impl ::std::ops::$trait<&$type> for $own {
            type Output = $type;
            #[track_caller]
            fn $method(self, rhs: &$type) -> $type {
                $type::$method(&self, rhs)
            }
        }
        impl ::std::ops::$trait<$type> for $own {
            type Output = $type;
            #[track_caller]
            fn $method(self, rhs: $type) -> $type {
                $type::$method(&self, &rhs)
            }
        }
    };
    (@number $type:ident, $own:ty, $trait:ident $method:ident, |$x:ident, $c:ident| $after:expr, $before:expr) => {
        impl ::std::ops::$trait<f32> for $own {
            type Output = $type;
            fn $method(self, $c: f32) -> $type {
                let $x = &self;
                $after
            }
        }
        impl ::std::ops::$trait<$own> for f32 {
            type Output = $type;
            fn $method(self, rhs: $own) -> $type {
                let ($c, $x) = (self, &rhs);
                $before
            }
        }
    };
}
operators!(Tensor);
