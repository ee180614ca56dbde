//! Batch normalisation: y = act(w·(x − μ)/√(σ² + ε) + b + residual), [batch, channels, height, width].
//! Training uses the statistics of the batch and updates the running statistics with PyTorch's momentum 0.1 and the unbiased variance.
//! Evaluation, and a layer whose running statistics are frozen, use the running statistics.

use autograd::{Act, Buffer, Param, Var, is_recomputing};
use tensor::{RunningStats, Tensor};

use crate::module::{ForwardContext, Layer, Module, Visitor};

const MOMENTUM: f32 = 0.1;
const EPS: f32 = 1e-5;

/// Batch normalisation with scale and shift, PyTorch's `BatchNorm2d` (Ioffe and Szegedy, 1502.03167):
/// `y = w·(x − μ)/√(σ² + ε) + b`, x and y `[batch, channels, height, width]`, ε = 1e-5.
///
/// Training uses the mean and biased variance of each channel in the batch, and updates the running statistics with momentum 0.1 and
/// the unbiased variance. Evaluation uses the running statistics, and so does training if they are frozen.
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Param,
    bias: Param,
    running_mean: Buffer,
    running_var: Buffer,
}

impl BatchNorm2d {
    /// A layer for this many channels, with scale 1, shift 0, running mean 0 and running variance 1.
    pub fn new(channels: usize) -> BatchNorm2d {
        BatchNorm2d {
            weight: Param::new(Tensor::ones([channels])),
            bias: Param::new(Tensor::zeros([channels])),
            running_mean: Buffer::new(Tensor::zeros([channels])),
            running_var: Buffer::new(Tensor::ones([channels])),
        }
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
            x.batch_norm_eval(&mean, &var, &weight, &bias, residual, act, EPS)
        } else if is_recomputing() {
            x.batch_norm(&weight, &bias, residual, act, EPS, None) // the running statistics were updated the first time
        } else {
            self.running_mean.update(|mean| {
                self.running_var.update(|var| {
                    let running = RunningStats { mean, var, momentum: MOMENTUM };
                    x.batch_norm(&weight, &bias, residual, act, EPS, Some(running))
                })
            })
        };
        ctx.record_output(&self.weight, &y);
        y
    }
}

impl Module for BatchNorm2d {
    fn visit(&self, v: &mut Visitor) {
        v.param("weight", &self.weight);
        v.param("bias", &self.bias);
        v.buffer("running_mean", &self.running_mean);
        v.buffer("running_var", &self.running_var);
    }
}

impl Layer for BatchNorm2d {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        self.forward_fused(x, None, Act::Identity, ctx)
    }
}
