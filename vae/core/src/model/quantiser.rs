//! What the quantisers have in common: they replace each vector of feature maps by one of K codes, and measure how many codes
//! they use.
//!
//! ```text
//! p_k = the fraction of a batch's positions that have code k
//! perplexity = exp(−Σ p_k ln p_k)        codes used = the number of k with p_k > 0
//! ```
//!
//! The perplexity is the number of codes that would have the same entropy if they were used equally often.

use autograd::Var;
use nn::{ForwardContext, Module};
use tensor::Tensor;

/// A map from vectors of `D` numbers to K codes of `D` numbers.
pub(super) trait Quantiser: Module {
    /// Replaces each position of the feature maps, `[n, D, s, s]`, by its code. In training this may also update the codes.
    fn quantise(&self, maps: &Var, ctx: &ForwardContext) -> Quantised;

    /// Returns the index of the code of each position, `[n, D, s, s]` → `[n, s, s]`.
    fn indices(&self, maps: &Tensor) -> Tensor;

    /// Returns the codes with these indices, `[n, s, s]` → `[n, D, s, s]`.
    fn look_up(&self, indices: &Tensor) -> Tensor;

    /// Returns how often each code was used in a batch of training, as a moving average, `[K]`.
    fn counts(&self) -> Tensor;
}

/// Quantised feature maps.
pub struct Quantised {
    /// The codes, `[n, D, s, s]`. Their gradient flows to the feature maps that they replace.
    pub codes: Var,
    /// The commitment loss Σ |e − sg(q)|², summed over the positions of an image, averaged over images and unweighted:
    /// a scalar. sg stops the gradient. `None` for codes that are not learnt.
    pub commitment: Option<Var>,
    /// The perplexity of the batch's codes: a scalar.
    pub perplexity: Var,
    /// The number of codes that the batch uses: a scalar.
    pub used: Var,
}

impl Quantised {
    /// Creates the result from the codes and the one-hot vectors of their indices, `[positions, K]`.
    pub(super) fn new(codes: Var, commitment: Option<Var>, one_hot: &Tensor) -> Quantised {
        let shares = one_hot.mean(&[0], false);
        let entropy = shares.mul(&shares.add_scalar(1e-10).log()).sum_all().mul_scalar(-1.0);
        let used = shares.mul_scalar(1e9).clamp(0.0, 1.0).sum_all(); // a share is 0 or at least 1/positions
        Quantised { codes, commitment, perplexity: Var::constant(entropy.exp()), used: Var::constant(used) }
    }
}

/// Returns the vectors at all positions of feature maps, `[n, D, s, s]` → `[n·s·s, D]`.
pub(super) fn places(maps: &Tensor) -> Tensor {
    let [n, d, height, width] = maps.shape().nchw("places");
    maps.permute(&[0, 2, 3, 1]).reshape([n * height * width, d])
}

/// Returns the rows of a table with these indices as feature maps, `[n, s, s]`, `[K, D]` → `[n, D, s, s]`.
pub(super) fn rows_as_maps(table: &Tensor, indices: &Tensor) -> Tensor {
    let [n, height, width] = [0, 1, 2].map(|dim| indices.shape()[dim]);
    let rows = table.index_select(&indices.reshape([n * height * width]));
    rows.reshape([n, height, width, table.shape()[1]]).permute(&[0, 3, 1, 2])
}

/// Returns the one-hot vectors of indices below `count`, `[positions, count]`.
pub(super) fn one_hot(indices: &Tensor, count: usize) -> Tensor {
    let positions = indices.shape().count();
    let ones = Tensor::ones([positions]).upload(&indices.device());
    ones.gather_gradient(&indices.reshape([positions]), count)
}

/// Returns a moving average after one more value: γ·old + (1 − γ)·new.
pub(super) fn toward(old: &Tensor, new: &Tensor, decay: f32) -> Tensor {
    old.mul_scalar(decay).add(&new.mul_scalar(1.0 - decay))
}
