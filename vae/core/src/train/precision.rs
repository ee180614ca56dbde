//! Training with feature maps of f16 (`train.precision`), on a GPU that has it. Forward passes of training run under
//! `autograd::autocast`, and the loss is scaled before the backward pass, so that small gradients do not vanish. The scale is on the
//! device (`tensor::GradientMonitor`); the trainer knows it as it was when losses were last read, for checkpoints.

use autograd::{Gradients, Var};
use tensor::{Device, Dtype, GradientMonitor, LossScale};

use super::Trainer;
use crate::config::{Config, Precision};

/// The type in which the device stores feature maps.
pub(super) fn dtype(config: &Config, device: &Device) -> Dtype {
    match (config.train.precision, device) {
        (Precision::F16, Device::Gpu(machine)) if machine.limits().f16 => Dtype::F16,
        _ => Dtype::F32,
    }
}

/// A monitor that keeps the results of this many steps.
pub(super) fn monitor(history: usize, device: &Device, loss_scale: Option<LossScale>) -> GradientMonitor {
    match loss_scale {
        Some(scale) => GradientMonitor::with_loss_scale(history, device, scale),
        None => GradientMonitor::new(history, device),
    }
}

impl Trainer {
    /// The gradients of a loss, times the loss scale if the run has one.
    pub(super) fn backward(&self, loss: &Var) -> Gradients {
        match self.loss_scale {
            Some(_) => (loss * Var::constant(self.monitor.loss_scale())).backward(),
            None => loss.backward(),
        }
    }
}
