//! Batch normalisation: y = act(w·(x − μ)/√(σ² + ε) + b + residual), [batch, channels, height, width].
//! Training uses the statistics of the batch and updates the running statistics with a momentum and the unbiased variance.
//! Evaluation, and a layer whose running statistics are frozen, use the running statistics.

use autograd::{Act, Buffer, Param, Var, is_recomputing};
use tensor::{RunningStats, Tensor};

use crate::module::{ForwardContext, Layer};

/// Batch normalisation with scale and shift, PyTorch's `BatchNorm2d` (Ioffe and Szegedy, 1502.03167):
/// `y = w·(x − μ)/√(σ² + ε) + b`, x and y `[batch, channels, height, width]`.
///
/// Training uses the mean and biased variance of each channel in the batch, or in all parts of one ([`ForwardContext::group`]), and updates the running statistics with the unbiased
/// variance: running ← (1 − momentum)·running + momentum·new, unless [`ForwardContext::keep_buffers`] is set. Evaluation uses the running statistics, and so does training if they are frozen.
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Param,
    bias: Param,
    running_mean: Buffer,
    running_var: Buffer,
    momentum: f32,
    eps: f32,
}

impl BatchNorm2d {
    /// A layer for this many channels, with scale 1, shift 0, running mean 0 and running variance 1. Momentum is 0.1 and ε is 1e-5,
    /// PyTorch's defaults.
    pub fn new(channels: usize) -> BatchNorm2d {
        BatchNorm2d {
            weight: Param::new(Tensor::ones([channels])),
            bias: Param::new(Tensor::zeros([channels])),
            running_mean: Buffer::new(Tensor::zeros([channels])),
            running_var: Buffer::new(Tensor::ones([channels])),
            momentum: 0.1,
            eps: 1e-5,
        }
    }

    /// The share of the batch's statistics in the new running statistics.
    ///
    /// # Panics
    /// Unless 0 ≤ momentum ≤ 1.
    #[track_caller]
    pub fn momentum(mut self, momentum: f32) -> BatchNorm2d {
        assert!((0.0..=1.0).contains(&momentum), "BatchNorm2d: momentum {momentum} is not in [0, 1]");
        self.momentum = momentum;
        self
    }

    /// The ε that is added to the variance.
    ///
    /// # Panics
    /// Unless it is positive and finite.
    #[track_caller]
    pub fn eps(mut self, eps: f32) -> BatchNorm2d {
        self.eps = checked_eps("BatchNorm2d", eps);
        self
    }

    /// The normalisation together with what follows it in a residual block: `act(w·(x − μ)/√(σ² + ε) + b + residual)`. The residual
    /// has the shape of x.
    ///
    /// # Panics
    /// In training, if a channel has only one element, which has no variance.
    #[track_caller]
    pub fn forward_fused(&self, x: &Var, residual: Option<&Var>, act: Act, ctx: &ForwardContext) -> Var {
        let (weight, bias) = (self.weight.var(), self.bias.var());
        let y = if !ctx.train || self.running_mean.is_frozen() {
            let (mean, var) = (self.running_mean.value(), self.running_var.value());
            x.batch_norm_eval(&mean, &var, &weight, &bias, residual, act, self.eps)
        } else {
            let normalise = |running: Option<RunningStats>| match &ctx.group {
                None => x.batch_norm(&weight, &bias, residual, act, self.eps, running),
                Some(group) => x.batch_norm_of_part(&weight, &bias, residual, act, self.eps, running, group),
            };
            // While values are computed again, the running statistics were updated the first time.
            if is_recomputing() || ctx.keep_buffers {
                normalise(None)
            } else {
                self.running_mean.update(|mean| {
                    self.running_var.update(|var| normalise(Some(RunningStats { mean, var, momentum: self.momentum })))
                })
            }
        };
        ctx.record_output(&self.weight, &y);
        y
    }
}

/// An ε that a normalisation can add to a variance.
#[track_caller]
pub(crate) fn checked_eps(layer: &str, eps: f32) -> f32 {
    assert!(eps > 0.0 && eps.is_finite(), "{layer}: ε is {eps}, which is not positive and finite");
    eps
}

crate::module!(BatchNorm2d { weight, bias, running_mean, running_var });

impl Layer for BatchNorm2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.forward_fused(x, None, Act::Identity, ctx)
    }
}
