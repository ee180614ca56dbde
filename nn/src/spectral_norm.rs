//! Spectral normalisation (Miyato et al., 1802.05957): a layer computes with W/σ(W), where σ(W) is the largest singular value of its
//! weight W as a matrix `[out, all other sizes]`. A linear layer then makes no vector longer. For a convolution this bounds the norm
//! only up to a factor, because its windows overlap. So a network of such layers with activations of slope at most 1 is Lipschitz
//! continuous.
//!
//! A step of the power iteration follows the weight, which moves little from step to step:
//!
//! ```text
//! v ← Wᵀu/‖Wᵀu‖     u ← Wv/‖Wv‖     σ(W) ≈ uᵀWv
//! ```
//!
//! u and v are constants in the gradient, so dσ/dW = uvᵀ.

use autograd::{Buffer, Param, Var, is_recomputing};
use tensor::{Generator, Tensor};

use crate::module::{ForwardContext, Layer, Module, Visitor};

/// The number of power iterations for a new layer.
const FIRST: usize = 15;
/// The least length that a vector is divided by.
const EPS: f32 = 1e-12;

/// A layer with a weight whose first size is that of its outputs, which can compute with another weight in its place.
pub trait Weighted: Layer {
    /// The weight.
    fn weight(&self) -> &Param;

    /// The result of the layer with this weight in place of its own.
    ///
    /// # Panics
    /// If the layer does not accept the shape of `x`.
    fn forward_with(&self, x: &Var, weight: &Var, ctx: &ForwardContext) -> Var;
}

/// A layer whose weight is divided by its largest singular value, PyTorch's `torch.nn.utils.spectral_norm`. Its tensors are those of the
/// layer, and the singular vectors `weight_u` `[out]` and `weight_v`. The weight keeps its name, `weight`, where PyTorch's files have
/// `weight_orig`.
///
/// Each forward pass in training takes a step of the power iteration, unless the vectors are frozen or
/// [`ForwardContext::keep_buffers`] is set.
#[derive(Debug)]
pub struct SpectralNorm<L> {
    layer: L,
    weight_u: Buffer,
    weight_v: Buffer,
}

impl<L: Weighted> SpectralNorm<L> {
    /// Wraps a layer. The vectors start from random ones, which 15 steps bring close to the singular vectors.
    pub fn new(rng: &mut Generator, layer: L) -> SpectralNorm<L> {
        let weight = matrix(&layer.weight().value());
        let [rows, columns] = [weight.shape()[0], weight.shape()[1]];
        let (weight_u, weight_v) = (rng.normal_tensor([rows]), Tensor::zeros([columns]));
        let norm = SpectralNorm { layer, weight_u: Buffer::new(weight_u), weight_v: Buffer::new(weight_v) };
        (0..FIRST).for_each(|_| norm.iterate());
        norm
    }

    /// W/σ(W), with the singular vectors as they are.
    pub fn normalised_weight(&self) -> Var {
        let weight = self.layer.weight().var();
        let (rows, columns) = (self.weight_u.shape().count(), self.weight_v.shape().count());
        let row = |vector: Tensor| Var::constant(vector.reshape([1, vector.count()]));
        let projected = row(self.weight_u.value()).matmul(&weight.reshape([rows, columns]));
        let sigma = projected.matmul_nt(&row(self.weight_v.value())); // [1, 1]
        weight / sigma
    }

    fn iterate(&self) {
        let weight = matrix(&self.layer.weight().value());
        let u = self.weight_u.value();
        let v = unit(&u.reshape([1, u.count()]).matmul(&weight));
        let u = unit(&v.matmul_nt(&weight));
        self.weight_u.set(u.reshape([u.count()]));
        self.weight_v.set(v.reshape([v.count()]));
    }
}

/// A weight as a matrix with a row for each output.
fn matrix(weight: &Tensor) -> Tensor {
    let outputs = weight.shape()[0];
    weight.reshape([outputs, weight.count() / outputs.max(1)])
}

/// A vector divided by its length.
fn unit(vector: &Tensor) -> Tensor {
    vector.div(&vector.square().sum_all().sqrt().clamp(EPS, f32::MAX))
}

impl<L: Weighted> Module for SpectralNorm<L> {
    fn visit(&self, v: &mut Visitor) {
        self.layer.visit(v);
        v.child("weight_u", &self.weight_u);
        v.child("weight_v", &self.weight_v);
    }
}

impl<L: Weighted> Layer for SpectralNorm<L> {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let fixed = self.weight_u.is_frozen() || is_recomputing() || ctx.keep_buffers;
        if ctx.train && !fixed {
            self.iterate();
        }
        self.layer.forward_with(x, &self.normalised_weight(), ctx)
    }
}
