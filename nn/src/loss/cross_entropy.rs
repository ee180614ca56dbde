//! −ln of the softmax at the label, averaged over images:  (1/B) Σ_i (ln Σ_c e^l[i, c] − l[i, label_i]).

use autograd::Var;
use tensor::Tensor;

/// Cross-entropy of `logits` `[batch, classes]` at `labels` `[batch]`, which are whole numbers stored as f32; in nats, averaged over
/// images (PyTorch's `cross_entropy`): `(1/B) Σ_i (ln Σ_c e^l[i, c] − l[i, label_i])`.
///
/// # Panics
/// If the batch sizes differ; on the CPU also if a label is not a class. A GPU gives NaN for such a label.
#[track_caller]
pub fn cross_entropy(logits: &Var, labels: &Tensor) -> Var {
    logits.log_softmax(1).gather(labels).mean_all().mul_scalar(-1.0)
}
