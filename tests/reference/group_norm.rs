//! y = w·(x − μ)/√(σ² + ε) + b, where μ and σ² are those of a group of channels of one image.

use crate::reduce::{mean, var};
use crate::{Array, binary};

/// (x − μ)/√(σ² + ε) over these dimensions.
pub fn normalised(x: &Array, dims: &[usize], eps: f64) -> Array {
    let centred = binary::broadcast(x, &mean(x, dims, true), |x, mean| x - mean);
    binary::broadcast(&centred, &var(x, dims, 0, true), |x, var| x / (var + eps).sqrt())
}

/// w·y + b.
pub fn affine(y: &Array, w: &Array, b: &Array) -> Array {
    binary::broadcast(&binary::broadcast(y, w, |y, w| y * w), b, |y, b| y + b)
}

/// Of x `[batch, channels, …]`, w and b `[channels]`.
pub fn group_norm(x: &Array, groups: usize, w: &Array, b: &Array, eps: f64) -> Array {
    let (batch, channels) = (x.shape[0], x.shape[1]);
    let rows = Array::new([batch, groups, x.data.len() / (batch * groups)], x.data.clone());
    let y = Array::new(&x.shape[..], normalised(&rows, &[2], eps).data);
    let mut along_channels = vec![1; x.shape.len() - 1];
    along_channels[0] = channels;
    let [w, b] = [w, b].map(|affine| Array::new(&along_channels[..], affine.data.clone()));
    affine(&y, &w, &b)
}
