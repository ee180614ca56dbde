//! An embedding: y[…, :] = W[x[…], :], W: [count, width].

use autograd::{Param, Var};
use tensor::Generator;

use crate::module::{ForwardContext, Layer};

/// A learnt vector for each of a number of things, such as characters; PyTorch's `Embedding`. x holds whole numbers below `count`,
/// stored as f32, as [`Tensor::index_select`](tensor::Tensor::index_select) takes them: `[…]` → `[…, width]`. Weight
/// `[count, width]`. On a GPU a number out of range gives NaN.
#[derive(Debug)]
pub struct Embedding {
    weight: Param,
}

impl Embedding {
    /// A layer of `count` vectors of `width` numbers, drawn from a standard normal distribution.
    pub fn new(rng: &mut Generator, count: usize, width: usize) -> Embedding {
        Embedding { weight: Param::new(rng.normal_tensor([count, width])) }
    }
}

crate::module!(Embedding { weight });

impl Layer for Embedding {
    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let chosen = self.weight.var().index_select(&x.value().reshape([x.shape().count()]));
        let y = chosen.reshape(&[&x.shape()[..], &chosen.shape()[1..]].concat()[..]);
        ctx.record_output(&self.weight, &y);
        y
    }
}
