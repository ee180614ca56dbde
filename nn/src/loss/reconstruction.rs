//! The distance between a reconstruction and its image. Both have the same shape, whose first dimension is the batch.
//!   sse:      Σ (x̂ − x)²                    −ln of a Gaussian with σ² = ½, up to a constant
//!   half_sse: ½ Σ (x̂ − x)²                  −ln of a Gaussian with σ = 1, up to a constant
//!   mse:      the mean over pixels and images
//!   bce:      Σ (ln(1 + eˡ) − x·l)          −ln of a Bernoulli with probability sigmoid(l); finite for every finite l

use autograd::Var;
use tensor::Tensor;

/// Squared errors, summed over pixels and averaged over images: (1/B) Σ (x̂ − x)². Both `[batch, …]` → a scalar. Up to a constant, this
/// is −ln p(x|z), in nats, of a Gaussian with σ² = ½.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn sse(reconstruction: &Var, x: &Tensor) -> Var {
    per_image(difference("sse", reconstruction, x).square())
}

/// Half of [`sse`]: (1/2B) Σ (x̂ − x)². Up to a constant, this is −ln p(x|z), in nats, of a Gaussian with σ = 1.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn half_sse(reconstruction: &Var, x: &Tensor) -> Var {
    sse(reconstruction, x).mul_scalar(0.5)
}

/// The mean squared error over pixels and images (PyTorch's `mse_loss`). Both `[batch, …]` → a scalar.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn mse(reconstruction: &Var, x: &Tensor) -> Var {
    difference("mse", reconstruction, x).square().mean_all()
}

/// Binary cross-entropy of logits l and targets x in `[0, 1]`, in nats, summed over pixels and averaged over images:
/// (1/B) Σ (ln(1 + eˡ) − x·l). Both `[batch, …]` → a scalar. (PyTorch's `binary_cross_entropy_with_logits` with `reduction="sum"`,
/// divided by B.)
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn bce(logits: &Var, x: &Tensor) -> Var {
    assert_eq!(logits.shape(), x.shape(), "bce: logits {} for images {}", logits.shape(), x.shape());
    let rows = [x.shape()[0], x.count() / x.shape()[0].max(1)];
    logits.reshape(rows).bce_with_logits(&x.reshape(rows)).mean_all()
}

#[track_caller]
fn difference(what: &str, reconstruction: &Var, x: &Tensor) -> Var {
    assert_eq!(reconstruction.shape(), x.shape(), "{what}: {} for images {}", reconstruction.shape(), x.shape());
    reconstruction - Var::constant(x.clone())
}

fn per_image(x: Var) -> Var {
    x.sum_all().mul_scalar(1.0 / x.shape()[0] as f32)
}
