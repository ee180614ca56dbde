//! Pooling as layers: [batch, channels, height, width] → smaller, or → [batch, channels].

use autograd::{Pool, Var};

use crate::module::{ForwardContext, Layer};

/// The largest pixel of each window, PyTorch's `MaxPool2d`: `[batch, channels, height, width]` →
/// `[batch, channels, (height + 2p − k)/s + 1, …]`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d(pub Pool);

/// The mean of each window, PyTorch's `AvgPool2d`. Padding counts as zeros. The shapes are those of [`MaxPool2d`].
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d(pub Pool);

/// The mean of each channel: `[batch, channels, height, width]` → `[batch, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAvgPool2d;

crate::module!(MaxPool2d {});

crate::module!(AvgPool2d {});

crate::module!(GlobalAvgPool2d {});

impl Layer for MaxPool2d {
    fn forward(&self, x: &Var, _: &ForwardContext) -> Var {
        x.max_pool2d(self.0)
    }
}

impl Layer for AvgPool2d {
    fn forward(&self, x: &Var, _: &ForwardContext) -> Var {
        x.avg_pool2d(self.0)
    }
}

impl Layer for GlobalAvgPool2d {
    fn forward(&self, x: &Var, _: &ForwardContext) -> Var {
        x.global_avg_pool2d()
    }
}
