//! Multi-head attention: q, k and v are linear functions of queries, keys and values, and are cut into h heads of width e/h;
//! y = concat over heads of softmax(q·kᵀ/√(e/h) + mask)·v, and a linear function of that is the result.

use autograd::{Param, Var};
use tensor::{Generator, Tensor};

use crate::linear::Linear;
use crate::module::{ForwardContext, Layer};

/// Multi-head attention, PyTorch's `MultiheadAttention` with `batch_first=True` (Vaswani et al., 1706.03762). Parameters:
/// `in_proj_weight` `[3·embed, embed]`, for queries, keys and values in this order, `in_proj_bias` `[3·embed]`, and the linear layer
/// `out_proj`.
///
/// ```
/// # use {nn::{ForwardContext, MultiheadAttention}, autograd::Var, tensor::{Generator, Tensor}};
/// let mut rng = Generator::new(1);
/// let attention = MultiheadAttention::new(&mut rng, 8, 2);
/// let (x, mask) = (Var::constant(rng.normal_tensor([4, 5, 8])), Var::constant(Tensor::causal_mask(5)));
/// let y = attention.forward(&x, &x, &x, Some(&mask), &ForwardContext::eval());
/// assert_eq!(y.shape()[..], [4, 5, 8]);
/// ```
#[derive(Debug)]
pub struct MultiheadAttention {
    in_proj_weight: Param,
    in_proj_bias: Option<Param>,
    out_proj: Linear,
    heads: usize,
}

crate::module!(MultiheadAttention { in_proj_weight, in_proj_bias, out_proj });

impl MultiheadAttention {
    /// A layer of this width and number of heads. As in PyTorch, `in_proj_weight` is initialised uniformly in ±√(6/(4·embed)) (Glorot
    /// and Bengio, 2010), `out_proj.weight` in ±1/√embed, and biases are 0.
    ///
    /// # Panics
    /// Unless the heads divide the width.
    #[track_caller]
    pub fn new(rng: &mut Generator, embed: usize, heads: usize) -> MultiheadAttention {
        let divided = heads > 0 && embed.is_multiple_of(heads);
        assert!(divided, "MultiheadAttention: {heads} heads do not divide a width of {embed}");
        let bound = (6.0 / (4 * embed).max(1) as f32).sqrt();
        MultiheadAttention {
            in_proj_weight: Param::new(rng.uniform_tensor([3 * embed, embed], -bound, bound)),
            in_proj_bias: Some(Param::new(Tensor::zeros([3 * embed]))),
            out_proj: Linear::new(rng, embed, embed).zero_bias(),
            heads,
        }
    }

    /// Without biases.
    pub fn no_bias(mut self) -> MultiheadAttention {
        self.in_proj_bias = None;
        self.out_proj = self.out_proj.no_bias();
        self
    }

    /// What each query takes from the values: queries `[batch, l, embed]`, keys and values `[batch, s, embed]` → `[batch, l, embed]`.
    /// For self-attention pass the same variable three times: one product then computes q, k and v. `mask` is added to the scores
    /// and broadcasts to `[batch, heads, l, s]`; −1e30 hides a key from a query. [`Tensor::causal_mask`] is one.
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    pub fn forward(&self, query: &Var, key: &Var, value: &Var, mask: Option<&Var>, ctx: &ForwardContext) -> Var {
        let embed = self.in_proj_weight.shape()[1];
        for x in [query, key, value] {
            let fits = x.shape().len() == 3 && x.shape()[2] == embed && x.shape()[0] == query.shape()[0];
            assert!(fits, "MultiheadAttention: {} with width {embed} and queries {}", x.shape(), query.shape());
        }
        assert_eq!(key.shape(), value.shape(), "MultiheadAttention: keys and values");
        let [q, k, v] = if std::ptr::eq(query, key) && std::ptr::eq(key, value) {
            let all = self.projected(query, 0, 3);
            [0, 1, 2].map(|part| all.slice(2, part * embed, embed))
        } else {
            [(query, 0), (key, 1), (value, 2)].map(|(x, part)| self.projected(x, part, 1))
        };
        let [q, k, v] = [q, k, v].map(|x| {
            let [batch, length, _] = [0, 1, 2].map(|dim| x.shape()[dim]);
            x.reshape([batch, length, self.heads, embed / self.heads]).permute(&[0, 2, 1, 3])
        });
        let y = q.scaled_dot_product_attention(&k, &v, mask).permute(&[0, 2, 1, 3]).reshape(query.shape());
        let y = self.out_proj.forward(&y, ctx);
        ctx.record_output(&self.in_proj_weight, &y);
        y
    }

    /// x·Wᵀ + b with `count` thirds of the weight and the bias from third `first` on: `[batch, length, embed]` →
    /// `[batch, length, count·embed]`.
    fn projected(&self, x: &Var, first: usize, count: usize) -> Var {
        let [batch, length, embed] = [0, 1, 2].map(|dim| x.shape()[dim]);
        let part = |param: &Param| match count {
            3 => param.var(),
            _ => param.var().slice(0, first * embed, count * embed),
        };
        let y = x.reshape([batch * length, embed]).matmul_nt(&part(&self.in_proj_weight));
        let y = match &self.in_proj_bias {
            Some(bias) => y + part(bias),
            None => y,
        };
        y.reshape([batch, length, count * embed])
    }
}
