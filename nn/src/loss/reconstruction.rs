//! How far a reconstruction is from its image; all shapes equal, images first.
//!   sse:      Σ (x̂ − x)²                    −ln of a Gaussian with σ² = ½, up to a constant
//!   half_sse: ½ Σ (x̂ − x)²                  −ln of a Gaussian with σ = 1, up to a constant
//!   mse:      the mean over pixels and images alike
//!   bce:      Σ ln(1 + eˡ) − x·l            −ln of a Bernoulli whose probability is sigmoid(l); finite for every finite l

use autograd::Var;
use tensor::Tensor;

/// Sum of squared errors an image: (1/B) Σ (x̂ − x)².
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn sse(reconstruction: &Var, x: &Tensor) -> Var {
    per_image(difference("sse", reconstruction, x).square())
}

/// Half the sum of squared errors an image: (1/2B) Σ (x̂ − x)².
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn half_sse(reconstruction: &Var, x: &Tensor) -> Var {
    sse(reconstruction, x).mul_scalar(0.5)
}

/// Mean squared error, over pixels and images.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn mse(reconstruction: &Var, x: &Tensor) -> Var {
    difference("mse", reconstruction, x).square().mean_all()
}

/// Binary cross-entropy an image, from logits and targets in `[0, 1]`: (1/B) Σ ln(1 + eˡ) − x·l.
///
/// # Panics
/// If the shapes differ.
#[track_caller]
pub fn bce(logits: &Var, x: &Tensor) -> Var {
    assert_eq!(logits.shape(), x.shape(), "bce: logits {} for images {}", logits.shape(), x.shape());
    per_image(logits.softplus() - logits * Var::constant(x.clone()))
}

#[track_caller]
fn difference(what: &str, reconstruction: &Var, x: &Tensor) -> Var {
    assert_eq!(reconstruction.shape(), x.shape(), "{what}: {} for images {}", reconstruction.shape(), x.shape());
    reconstruction - Var::constant(x.clone())
}

fn per_image(x: Var) -> Var {
    x.sum_all().mul_scalar(1.0 / x.shape()[0] as f32)
}
