//! Attention:  y = softmax(q·kᵀ/√e + mask)·v,  where the softmax runs over the keys (Vaswani et al., 1706.03762).

use crate::tensor::Tensor;

impl Tensor {
    /// `[n, n]`: the mask with which position i attends to positions up to i only. It is 0 there, and −1e30 above the diagonal,
    /// which leaves nothing of an exponential. An infinity would do the same, but shaders may not have any.
    pub fn causal_mask(n: usize) -> Tensor {
        Tensor::build("causal_mask", &[], [n, n].into(), |out| {
            for (i, row) in out.chunks_mut(n.max(1)).enumerate() {
                row.iter_mut().enumerate().for_each(|(j, x)| *x = if j > i { -1e30 } else { 0.0 });
            }
        })
    }
}

/// Defines the function for a type that has batched products and a softmax.
#[macro_export]
#[doc(hidden)]
macro_rules! attention {
    ($type:ident) => {
        impl $type {
            /// Scaled dot-product attention of the queries `self` `[…, l, e]` to `keys` `[…, s, e]` with `values` `[…, s, f]` →
            /// `[…, l, f]`: `softmax(q·kᵀ/√e + mask)·v` (Vaswani et al., 1706.03762). The dimensions in front broadcast, and `mask`
            /// broadcasts to `[…, l, s]`; `Tensor::causal_mask` is one.
            ///
            /// # Panics
            /// If a tensor has fewer than two dimensions, the queries and keys differ in e, the keys and values in s, or the dimensions in
            /// front or the mask do not broadcast.
            #[track_caller]
            pub fn scaled_dot_product_attention(&self, keys: &$type, values: &$type, mask: Option<&$type>) -> $type {
                let width = self.shape().last().copied().unwrap_or(1);
                let scores = self.mul_scalar(1.0 / (width as f32).sqrt()).bmm_nt(keys);
                let scores = match mask {
                    Some(mask) => scores.add(mask),
                    None => scores,
                };
                scores.softmax(scores.shape().len() - 1).bmm(values)
            }
        }
    };
}
attention!(Tensor);
