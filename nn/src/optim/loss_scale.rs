//! Loss scaling (Micikevicius et al., 1710.03740, section 3.2): small gradients vanish in f16, so the loss is multiplied by a scale
//! before the backward pass. The monitor divides the gradients again and chooses the next scale (`tensor/src/ops/gradient_monitor.rs`).

use autograd::Var;
use tensor::GradientMonitor;

/// The loss times the monitor's loss scale, for the backward pass (PyTorch's `GradScaler.scale`). Without a loss scale it is the loss.
pub fn scaled_loss(loss: &Var, monitor: &GradientMonitor) -> Var {
    match monitor.loss_scale() {
        Some(scale) => loss * Var::constant(scale),
        None => loss.clone(),
    }
}
