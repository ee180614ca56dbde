//! Batch normalisation: y = act(w·(x − μ)/√(σ² + ε) + b + residual), [batch, channels, height, width].
//! Training uses the batch's statistics and moves the running ones by a tenth (PyTorch's momentum 0.1, with the unbiased
//! variance); evaluation, or a layer whose running statistics are frozen, uses the running ones.

use autograd::{Act, Buffer, Param, Var};
use tensor::{RunningStats, Tensor};

use crate::module::{ForwardContext, Layer, Module, Visitor};

const MOMENTUM: f32 = 0.1;
const EPS: f32 = 1e-5;

/// Batch normalisation with scale and shift, PyTorch's `BatchNorm2d` (Ioffe and Szegedy, 1502.03167):
/// `y = w·(x − μ)/√(σ² + ε) + b`, x and y `[batch, channels, height, width]`, ε = 1e-5.
///
/// Training takes each channel's mean and biased variance in the batch, and moves the running ones by a tenth (momentum 0.1, with
/// the unbiased variance). Evaluation takes the running ones, and so does training where they are frozen.
#[derive(Debug)]
pub struct BatchNorm2d {
    weight: Param,
    bias: Param,
    running_mean: Buffer,
    running_var: Buffer,
}

impl BatchNorm2d {
    /// Of this many channels: scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(channels: usize) -> BatchNorm2d {
        BatchNorm2d {
            weight: Param::new(Tensor::ones([channels])),
            bias: Param::new(Tensor::zeros([channels])),
            running_mean: Buffer::new(Tensor::zeros([channels])),
            running_var: Buffer::new(Tensor::ones([channels])),
        }
    }

    /// The normalisation and what follows it in a residual block: `act(w·(x − μ)/√(σ² + ε) + b + residual)`, the residual shaped
    /// as x.
    ///
    /// # Panics
    /// In training, with one number a channel: it has no variance.
    #[track_caller]
    pub fn forward_fused(&self, x: &Var, residual: Option<&Var>, act: Act, ctx: &ForwardContext) -> Var {
        let (weight, bias) = (self.weight.var(), self.bias.var());
        let y = if !ctx.train || self.running_mean.is_frozen() {
            let (mean, var) = (self.running_mean.value(), self.running_var.value());
            x.batch_norm_eval(&mean, &var, &weight, &bias, residual, act, EPS)
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
