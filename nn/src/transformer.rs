//! A block of a transformer:  h = x + attention(norm₁ x),  y = h + W₂·gelu(W₁·norm₂ h + b₁) + b₂.

use autograd::Var;
use tensor::Generator;

use crate::attention::MultiheadAttention;
use crate::layer_norm::LayerNorm;
use crate::linear::Linear;
use crate::module::{ForwardContext, Layer};

/// A block of a transformer (Vaswani et al., 1706.03762) with the norms before its two parts (Radford et al., 2019). It is PyTorch's
/// `TransformerEncoderLayer` with `batch_first=True`, `norm_first=True`, `activation="gelu"` and `dropout=0`, and four times as
/// many hidden numbers as the width. Parameters: those of `self_attn`, `linear1`, `linear2`, `norm1` and `norm2`.
///
/// ```
/// # use {nn::{ForwardContext, TransformerEncoderLayer}, autograd::Var, tensor::{Generator, Tensor}};
/// let mut rng = Generator::new(1);
/// let block = TransformerEncoderLayer::new(&mut rng, 8, 2);
/// let (x, mask) = (Var::constant(rng.normal_tensor([4, 5, 8])), Var::constant(Tensor::causal_mask(5)));
/// assert_eq!(block.forward(&x, Some(&mask), &ForwardContext::eval()).shape()[..], [4, 5, 8]);
/// ```
#[derive(Debug)]
pub struct TransformerEncoderLayer {
    self_attn: MultiheadAttention,
    linear1: Linear,
    linear2: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
}

crate::module!(TransformerEncoderLayer { self_attn, linear1, linear2, norm1, norm2 });

impl TransformerEncoderLayer {
    /// A block of this width and number of heads.
    ///
    /// # Panics
    /// Unless the heads divide the width.
    #[track_caller]
    pub fn new(rng: &mut Generator, width: usize, heads: usize) -> TransformerEncoderLayer {
        TransformerEncoderLayer {
            self_attn: MultiheadAttention::new(rng, width, heads),
            linear1: Linear::new(rng, width, 4 * width),
            linear2: Linear::new(rng, 4 * width, width),
            norm1: LayerNorm::new([width]),
            norm2: LayerNorm::new([width]),
        }
    }

    /// `[batch, length, width]` → `[batch, length, width]`. `mask` is that of [`MultiheadAttention::forward`].
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, x: &Var, mask: Option<&Var>, ctx: &ForwardContext) -> Var {
        let normed = self.norm1.forward(x, ctx);
        let h = x + self.self_attn.forward(&normed, &normed, &normed, mask, ctx);
        let hidden = self.linear1.forward(&self.norm2.forward(&h, ctx), ctx).gelu();
        &h + self.linear2.forward(&hidden, ctx)
    }
}
