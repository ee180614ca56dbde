//! Training with feature maps of f16 (`train.precision`), on a GPU that has it. Forward passes of training run under
//! `autograd::autocast`, and the loss is scaled before the backward pass (`nn::optim::scaled_loss`), so that small gradients do not
//! vanish. The scale is on the device; the trainer knows it as it was when losses were last read, for checkpoints.

use tensor::{Device, Dtype};

use crate::config::{Config, Precision};

/// The type in which the device stores feature maps.
pub(super) fn dtype(config: &Config, device: &Device) -> Dtype {
    match (config.train.precision, device) {
        (Precision::F16, Device::Gpu(machine)) if machine.limits().f16 => Dtype::F16,
        _ => Dtype::F32,
    }
}
