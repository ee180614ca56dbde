//! The variance, and normalisation by it:
//!   var = Σ (x − μ)² / (n − correction)
//!   layer_norm, group_norm: y = w·(x − μ)/√(σ² + ε) + b, with σ² = Σ (x − μ)² / n over the last dimensions, or over a group of channels

use crate::tensor::Tensor;

/// Defines the functions for a type that has sums, means and the functions of `ops/unary.rs`.
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
                let dims: Vec<usize> = (shape.len() - normalized.len()..shape.len()).collect();
                self.normalised(&dims, eps).scaled_and_shifted(weight, bias)
            }

            /// Normalisation of each image over `groups` groups of neighbouring channels and their pixels, with a scale and a shift for
            /// each channel: `[batch, channels, …]` → the same, `y = w·(x − μ)/√(σ² + ε) + b` (Wu and He, 1803.08494). As many groups
            /// as channels are an instance norm.
            ///
            /// # Panics
            /// Unless the groups divide the channels, and `weight` and `bias` are `[channels]`.
            #[track_caller]
            pub fn group_norm(&self, groups: usize, weight: Option<&$type>, bias: Option<&$type>, eps: f32) -> $type {
                let shape = *self.shape();
                let [batch, channels, _] = shape.outer_size_inner(1, "group_norm");
                let divided = groups > 0 && channels % groups == 0;
                assert!(divided, "group_norm: {shape} in {groups} groups");
                for affine in [weight, bias].into_iter().flatten() {
                    assert_eq!(affine.shape()[..], [channels], "group_norm: {shape} with {}", affine.shape());
                }
                let size = shape.count() / (batch * groups).max(1);
                let y = self.reshape([batch, groups, size]).normalised(&[2], eps).reshape(shape);
                let mut along_channels = vec![1; shape.len() - 1];
                along_channels[0] = channels;
                let [weight, bias] = [weight, bias].map(|x| x.map(|x| x.reshape(&along_channels[..])));
                y.scaled_and_shifted(weight.as_ref(), bias.as_ref())
            }

            /// w·y + b, of those that there are.
            fn scaled_and_shifted(self, weight: Option<&$type>, bias: Option<&$type>) -> $type {
                let y = weight.map_or(self.clone(), |weight| self.mul(weight));
                bias.map_or(y.clone(), |bias| y.add(bias))
            }

            /// (x − μ)/√(σ² + ε) over these dimensions.
            fn normalised(&self, dims: &[usize], eps: f32) -> $type {
                let centred = self.sub(&self.mean(dims, true));
                let variance = centred.square().mean(dims, true);
                centred.div(&variance.add_scalar(eps).sqrt())
            }
        }
    };
}
statistics!(Tensor);
