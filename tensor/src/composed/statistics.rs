//! The variance, and normalisation by it:
//!   var = Σ (x − μ)² / (n − correction)
//!   layer_norm: y = w·(x − μ)/√(σ² + ε) + b, with σ² = Σ (x − μ)² / n over the last dimensions: the group norm of one group

use crate::tensor::Tensor;

/// Defines the functions for a type that has sums, means, group norms and the functions of `ops/unary.rs`.
#[macro_export]
#[doc(hidden)]
macro_rules! statistics {
    ($type:ident) => {
        impl $type {
            /// The variance over `dims`, which stay as sizes of 1 with `keepdim` (PyTorch's `var`): the sum of squares of the deviations
            /// from the mean, divided by their number minus `correction`. PyTorch's default is a correction of 1. Without more numbers
            /// than that it is NaN or infinite. The variance of `[2, 3]` over dimension 1 is `[2]`.
            ///
            /// # Panics
            /// If a dimension does not exist or is named twice.
            #[track_caller]
            pub fn var(&self, dims: &[usize], correction: usize, keepdim: bool) -> $type {
                let mean = self.mean(dims, true);
                let count = self.shape().count() as f32 / mean.shape().count() as f32;
                let squares = self.sub(&mean).square().sum(dims, keepdim);
                squares.mul_scalar(1.0 / (count - correction as f32).max(0.0))
            }

            /// Normalisation over the last dimensions, whose sizes are `normalized`, with a scale and a shift of that shape:
            /// `[…, normalized]` → the same, `y = w·(x − μ)/√(σ² + ε) + b` (Ba, Kiros and Hinton, 1607.06450).
            ///
            /// # Panics
            /// If the last sizes are not `normalized`, or `weight` or `bias` has another shape.
            #[track_caller]
            pub fn layer_norm(
                &self,
                normalized: impl Into<$crate::Shape>,
                weight: Option<&$type>,
                bias: Option<&$type>,
                eps: f32,
            ) -> $type {
                let (normalized, shape) = (normalized.into(), *self.shape());
                assert!(shape.ends_with(&normalized), "layer_norm: {shape} over {normalized}");
                for affine in [weight, bias].into_iter().flatten() {
                    assert_eq!(*affine.shape(), normalized, "layer_norm: {shape} over {normalized}");
                }
                let size = normalized.count();
                let rows: usize = shape[..shape.len() - normalized.len()].iter().product();
                let [weight, bias] = [weight, bias].map(|affine| affine.map(|affine| affine.reshape([size])));
                self.reshape([rows, size, 1]).group_norm(1, weight.as_ref(), bias.as_ref(), eps).reshape(shape)
            }
        }
    };
}
statistics!(Tensor);
