//! Upsampling by a whole factor: [batch, channels, height, width] → [batch, channels, f·height, f·width].

use autograd::{Interpolation, Var};

use crate::module::{ForwardContext, Layer};

/// Enlarges images by a factor, PyTorch's `Upsample`: `[batch, channels, height, width]` →
/// `[batch, channels, f·height, f·width]`.
#[derive(Clone, Copy, Debug)]
pub struct Upsample {
    /// The factor f.
    pub factor: usize,
    /// How new pixels are computed.
    pub how: Interpolation,
}

crate::module!(Upsample {});

impl Layer for Upsample {
    fn forward(&self, x: &Var, _: &ForwardContext) -> Var {
        let [_, _, height, width] = x.shape().nchw("upsample");
        x.interpolate([height * self.factor, width * self.factor], self.how)
    }
}
